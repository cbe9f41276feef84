// Package gateway runs private gateways: connectors in private networks offer ports to a
// gateway, and what connects to these ports of the gateway's own addresses, or joins them
// from elsewhere, reaches the connectors' targets.
//
// The journey of a connection: a connector's session, of whatever wire, is admitted
// (Runtime.Admit) and binds its remotes (connector.Bind). The first that offers a port has
// it opened at the gateway's addresses (sockets); every connector that offers it is a
// member of its endpoint. A consumer that connects there (visit), or that comes from
// elsewhere (Runtime.Join), is given to the best member, and waits for one where there is
// none for a moment. What became of it is written down (Record).
//
// Nothing here asks the store while connections come and go: definitions and the hashes of
// tokens are in memory, and those known last stay in force while the store is down.
//
// Everything is denied that no rule allows: a connector offers what its token, its
// gateway and the server allow, a consumer reaches what its network or credential allows,
// and a connector is asked for nothing but what it has declared.
package gateway
