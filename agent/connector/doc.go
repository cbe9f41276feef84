// Package connector is the program that runs in a private network and offers ports of it
// to a private gateway: "postern connect", and "outsystemscc" under that program's name.
//
// A Connector serves any number of gateways. Each has its Remotes, "port 8081 of the
// gateway is db.corp.example:5432 here", and a line: the connection to the gateway, made
// again whenever it ends, over our native link where the gateway has that and over
// chisel's wire else. The line's streams are what consumers open at the gateway's ports;
// each is brought to its remote's target, and to no other address: what the far end asks
// for is looked up among the remotes, never dialled.
//
// The private network has the last word. Rules (internal/allow) say which addresses may
// be dialled, and they are checked with the address that a name has at that moment.
//
// What happens is logged with slog; Classic is a handler that writes what concerns the
// connection in the words and the form of outsystemscc and chisel, for those who read
// their logs with programs.
package connector
