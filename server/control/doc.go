// Package control is the agents' side of a server. It admits sessions of whatever
// wire, decides which address an endpoint gets and who may have it, and takes
// endpoints online and offline.
//
// A session's life: Serve picks the wire by ALPN; the wire's adapter calls Admit
// once the agent has said who it is; the Binder that Admit returns does what the
// agent asks for; Release ends it. Everything that an adapter must not decide
// (authorisation, limits, names, who wins when two want the same) is here.
//
// Three things make a restart cheap, of the agent or of the server. A cookie,
// signed by the server, proves that a client id is the caller's own, so that a
// returning agent replaces its dead predecessor at once. A token, signed as well,
// gives an endpoint its address back. And assigned names are derived from the
// credential and the endpoint's name, so that even an agent that has forgotten
// everything gets the address it had. The server keeps none of this in memory only.
package control
