// Package cluster knows which endpoints are online and who holds them.
//
// Local is the registry of this node's live endpoints. Endpoints that share a URL
// form a pool, which is the route.Owner that the edge asks; a pool balances by load
// and avoids members that could not be reached a moment ago. Nothing here is stored:
// live state ends with the process.
package cluster
