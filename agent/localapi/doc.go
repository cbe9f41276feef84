// Package localapi is the agent's API on 127.0.0.1:4040: what programs that start an
// agent ask it, in the shapes that ngrok's agent has, and a few things more.
//
// Listen finds the address, New makes the handler, Start joins the two until a context
// ends. The handler trusts who reaches it from this machine, as such programs bring no
// credentials, and nobody else: a request counts as exposed where the listener is bound
// wider than loopback, where proxies have forwarded it, and where it came through an
// endpoint that leads here. An exposed request needs the token. Names in Host, the
// origin of writes and the type of bodies are checked of all, so that web pages that
// are open in a browser of this machine get nowhere.
//
// The routes stand in one table, from which the OpenAPI document is made.
package localapi
