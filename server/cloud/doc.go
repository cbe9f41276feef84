// Package cloud serves the endpoints that are defined through the API and have no agent:
// what their policy says is all that there is to them.
//
// Endpoints is what the store has, in memory: a source of routes beside the registry of
// agents' endpoints. What was read last stays while the store does not answer.
package cloud
