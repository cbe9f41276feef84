// Package password hashes passwords with Argon2id (RFC 9106), and checks them.
//
// A hash says what it was made with, in the PHC string format
//
//	$argon2id$v=19$m=32768,t=3,p=1$<salt>$<hash>
//
// so that the cost can be raised later: Verify tells which hashes are due. Hashes that
// other programs made with bcrypt ($2a$, $2b$, $2y$) are checked, and never made. Each hash
// takes tens of MiB for tens of milliseconds, so a Hasher makes few at once and lets a
// bounded number of callers wait.
package password
