// Package sshr is the adapter for people without an agent: "ssh -R" of an unmodified
// OpenSSH client, or of any other that does remote forwards (RFC 4254 §7).
//
//	ssh -R 80:localhost:8080 connect.example.com
//
// Each remote forward becomes an endpoint, and each visitor's connection a channel of the
// type forwarded-tcpip. A session channel, if the client opens one, shows what is online
// until it ends; its command may say more, such as the scheme: see Options. There is no
// shell, and every other kind of channel is refused.
//
// A client logs in with a public key that is an SSH credential, or with an authtoken as
// its password. The user's name means nothing.
//
// What SSH cannot do is done as near as it comes. It has no reset: where a stream ends
// abnormally the channel is closed, behind a request "reset@postern" that OpenSSH
// ignores and whoever knows it takes for one. The golang.org/x/crypto/ssh below does not
// tell a channel's end from the connection's, so a stream whose bytes have ended asks the
// client whether it is still there before it says so; a transfer that was cut never looks
// complete.
package sshr
