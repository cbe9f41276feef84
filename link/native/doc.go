// Package native is the link between our own agent and our own server: the
// session messages of link/sessionmsg over TLS 1.3 with the ALPN name "postern/1",
// multiplexed by link/mux with what ngrok's SDKs cannot do: large windows that
// grow with the path, resets that carry a code, and a GOAWAY that drains.
//
// A session begins with one connection, carrier 0. With ClientConfig.Dial at the
// agent and Config.Hub at the server it grows further ones while there is bulk, and
// streams move to them and back.
//
// spec.md beside this file describes the wire for an implementer.
//
// The server side is Serve. The agent side is Connect:
//
//	client, welcome, err := native.Connect(ctx, conn, native.ClientConfig{Hello: hello, Logger: log})
//	bound, err := client.Bind(ctx, link.BindRequest{…})
//	for {
//		header, stream, err := client.Accept(ctx)
//		…
//	}
//
// A program must keep calling Accept as long as it uses the Client: the server's
// commands and notices arrive on the same path and are handled inside.
package native
