// Package seal keeps secrets that must be read again, private keys and vault secrets
// among them, from whoever gets hold of the database alone: a dump, a replica, a disk.
// Rows hold what Keyring.Seal made of a secret; the keys are elsewhere, in a file of the
// data directory or where the operator keeps them.
//
//	sealed, err := keyring.Seal(privateKey, seal.Row("tls_certificate", id, "private_key"))
//	…
//	privateKey, err := keyring.Unseal(sealed, seal.Row("tls_certificate", id, "private_key"))
//
// What is only ever compared, such as a token, is not sealed but hashed (server/service).
// What a stranger keeps for us and shows again, such as a cookie, is signed: Keyring.Sign.
//
// # The format
//
//	version   1 byte, 1
//	key       8 bytes, the id of the sealing key
//	salt     24 random bytes
//	text      AES-256-GCM: as long as the secret, and a tag of 16 bytes
//
// The key and the nonce of each message are derived from the sealing key and the salt
// (HKDF-SHA256, RFC 5869). AES-GCM breaks when a nonce is used twice with one key, and
// with random nonces of 96 bits that forbids more than 2^32 messages with one
// (NIST SP 800-38D §8.3), which somebody would have to count, across restarts and
// restored backups. With 192 random bits a key may seal 2^80 messages before two salts
// are the same with a probability of 2^-32, and nobody has to count. It costs two
// microseconds.
//
// The header and the caller's context are authenticated with the text. A context names
// the row and column, see Row: what was sealed for one place opens at no other, so
// whoever can write to the database cannot have the server use one tenant's key for
// another. Nothing prevents that an older secret of the same place is put back.
//
// # Rotation
//
// A Keyring has one key that seals and any number that open. A new key first becomes one
// of those everywhere, then seals; then all that an older key has sealed is sealed anew,
// and only then is the older key forgotten. server/service has the order of these steps,
// and why none of them can lose a secret.
package seal
