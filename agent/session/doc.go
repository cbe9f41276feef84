// Package session keeps an agent connected and its endpoints online.
//
// A Supervisor holds one session with the server at a time. It binds every
// endpoint, hands the streams that arrive to the endpoints' handlers, and when the
// session ends for whatever reason makes another and takes the same endpoints
// online again, with the ids and tokens that prove they were its own. Connecting
// itself is a function that it is given (Dialer.Connect in production), so it runs
// in virtual time under test.
//
// Forward is the handler that brings a stream to a service: it dials the Upstream,
// ends or begins TLS where that is asked for, and relays both directions.
package session
