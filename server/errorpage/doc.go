// Package errorpage has the pages that visitors of a domain or an endpoint are shown in
// place of the server's own, and says who is let in while one is closed for maintenance.
//
// A page is text that its owner wrote, with a few placeholders such as {{code}}. Nothing
// that a visitor wrote gets into it: the values are words of the server's, and the name of
// the host, which has been checked to be one.
//
// Everything here is compiled once and never changed, so that the edge may use it without
// a lock.
package errorpage
