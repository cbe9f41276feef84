// Package ngrok serves ngrok's agent protocol, so that unmodified SDKs (ngrok-go,
// ngrok-rust, @ngrok/ngrok) work against Postern. It is the server's side only;
// the messages are link/sessionmsg's and the frames link/mux's.
//
// What this package adds is the care that those agents need:
//
//   - ngrok-rust kills its session when more than 512 streams are open on it, so
//     ours are capped below that and further opens wait.
//   - ngrok-go accepts through a queue of 128 and refuses what does not fit, so
//     opens that it has not yet accepted are paced; what it refuses all the same
//     is opened again, with the bytes that were sent, and nobody notices.
//   - ngrok-rust leaves Nagle's algorithm on, so its small writes wait for our
//     delayed acknowledgements; TCP_QUICKACK after each read cures that.
//   - A GOAWAY would end their session, so Drain only stops our own opens.
package ngrok
