// Package body changes bodies of messages while they pass: it undoes and applies content
// codings, and replaces text. Nothing here holds a whole body, however long it is.
//
// The readers that it makes are read by one goroutine. Some hold memory that is counted
// (Budget), until their end, an error or Close, which may be called at any time by anybody.
package body
