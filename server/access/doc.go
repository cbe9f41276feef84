// Package access decides by address who may come to which part of an account, and by
// which names its agents may come. It decides from tables in memory, which whoever knows
// the store's content replaces: no decision waits for anything, and on a server without
// restrictions each is one look at a pointer.
package access
