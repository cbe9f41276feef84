// Package outcall makes the HTTP requests that tenants have the server make: those of a
// policy's actions, and for the keys that tokens are checked with.
//
// The server stands in a network that its tenants are not to see, so it connects to public
// addresses only, besides the networks that its operator allows. What counts is the address
// that is connected to, looked at between look-up and connect: whatever a URL, a name, a
// DNS answer or a redirect says does not matter. Addresses of the server's own machine are
// for the ports on which it serves visitors. Calls know no proxy and no cookies, end in
// time, and have a budget of bytes; what a caller sends as headers or body goes to no other
// origin than the one it named.
package outcall
