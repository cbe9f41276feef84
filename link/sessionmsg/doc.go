// Package sessionmsg holds the messages that an agent and a server exchange over
// a session's streams, in the form that ngrok's SDKs speak and that link/native
// shares: the type number that opens a stream, then one JSON object as request
// and one as reply, or the proxy header and a visitor's bytes.
//
// Field names are the wire's keys. They are written exactly as here and read in
// any case, because SDKs differ in theirs (AuthToken, Authtoken). Keys that are
// not known are skipped, so that newer agents keep working; options that ask for
// something this server does not do are not skipped but reported, see
// Bind.Request.
//
// Server runs the server's half of a session over any Carrier, so that both wires
// have one behaviour. It decides nothing: limits, authorisation and defaults are
// the business of link and server/control, which it asks through link.Registrar
// and link.Binder.
package sessionmsg
