// Package resource is the REST API's own words: a type for everything that the API
// shows, creates and changes, and one Table of them all.
//
// The table is the only place where a resource is described. The server's strict
// decoding and its routes (server/api), the OpenAPI document, the Go client (client) and
// the command line ("postern api") are made from it while the program runs. To add a
// field is to add it to a type here, with its tags:
//
//	json  its name in the API. Types of creations and changes say omitzero
//	doc   one sentence for a reader, who may be anybody
//	api   a list of: required (a creation must have it), checked (its absence has an error
//	      code of its own), secret (never shown again, nor quoted in messages),
//	      deprecated, nullable (null is a value of its own)
//	filter  other names of values in filters of lists: "agent=ephemeral"
//
// Names, keys and shapes are those of ngrok's API, whose clients must work unmodified;
// what we added stands beside them.
package resource
