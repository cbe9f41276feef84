// Package link is the abstraction that joins the two ends of Postern. Every wire
// (ngrok's, our native one, chisel's, SSH's) becomes the types of this package,
// and nothing above them knows which wire it was.
//
// A visitor's connection becomes a Stream: the server side opens it through an
// Opener, the agent side receives it through an Acceptor. What the agent asks of
// the server (who am I, bind this, release that) goes through a Registrar and a
// Binder, which server/control implements; what the server asks of the agent goes
// through a Session.
//
// Adapters parse and translate, nothing else: limits, authorisation, accounting
// and drain live here and in server/control, once.
package link
