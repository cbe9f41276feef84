// Package api is the REST API, at the root of a host of its own. It speaks ngrok's, so
// that ngrok's API clients work unmodified.
//
// A request's way: ServeHTTP finds its route, lets its API key in, counts it, checks its
// headers and query, reads its body strictly, and calls a use case of server/service;
// what that returns is written as JSON. Routes, decoding and documents are made from
// resource.Table; what is allowed and what is so is decided by the service alone.
package api
