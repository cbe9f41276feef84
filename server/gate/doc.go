// Package gate is what stands in front of an endpoint that asks for a name and a
// password, and leaves the service's own authentication alone.
//
// A Gate decides about the facts of one request. It knows four ways in:
//
//   - Authorization: Basic, where the value is one of the gate's credentials. Any other
//     value is the service's: it passes byte for byte, and does not open the gate;
//   - Postern-Authorization: Basic, which is the gate's alone: what is there must be right;
//   - a signed cookie that it sets, over https, once a credential was accepted;
//   - where it is asked to, the address that has signed in lately.
//
// What was the gate's own is taken off the request, and nothing else (Outcome.Strip).
//
//	outcome := g.Check(ctx, credentials, request)
//	outcome.Strip(header)
//	if outcome.Refusal != nil { … }
//
// # One interpretation
//
// Two lines of one of the headers, and a list where one value belongs, are refused: what
// stands in front of the gate or behind it might choose the other value. Names that only
// look like the gate's (postern_authorization) are none of it, and the edge drops them.
//
// # Preflights
//
// Browsers send CORS preflights without credentials (Fetch standard, "CORS-preflight
// fetch"). A service behind a password could never be called from another origin if they
// were refused. So they pass, but only what a browser sends of its own accord: no body,
// no cookies, no Authorization, no upgrade, and none of the headers that have a service
// take OPTIONS for another method.
//
// # Guessing
//
// Wrong passwords are counted by address; beyond guessesPerMinute nothing from it is heard
// but a password that was right before. A wrong password that was seen before is known to
// be wrong, and is not counted again: a program with an old password does not lock out
// the office behind the same address. Hashing is done once for each value.
package gate
