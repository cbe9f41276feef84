package password

import (
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/postern-dev/postern"
)

const (
	// mostBcryptCost takes about a second. Whoever gives a hash decides what each guess at
	// it costs us.
	mostBcryptCost = 14
	// mostBcrypt is how many bytes of a password bcrypt looks at. It would take whatever
	// begins like a longer one for it.
	mostBcrypt = 72
)

// dearest is what a hash that somebody gives us may cost: the second choice of RFC 9106
// §4 (64 MiB, three passes), and some more.
func dearest() Cost { return Cost{KiB: 64 << 10, Passes: 5, Threads: 4} }

// CheckHash refuses a hash that Verify could not check, or that would cost too much:
// CodeFieldInvalid. It does not quote the hash.
func CheckHash(hash postern.Secret) error {
	text := hash.Reveal()
	if !isBcrypt(text) {
		given, known := parse(text)
		if !known {
			return postern.Errorf(postern.CodeFieldInvalid, "the hash is neither bcrypt's ($2b$…) nor Argon2id's ($argon2id$v=19$m=…,t=…,p=…$…$…)")
		}
		if most := dearest(); given.cost.KiB > most.KiB || given.cost.Passes > most.Passes || given.cost.Threads > most.Threads {
			return postern.Errorf(postern.CodeFieldInvalid, "the hash takes m=%d,t=%d,p=%d, at most m=%d,t=%d,p=%d is allowed",
				given.cost.KiB, given.cost.Passes, given.cost.Threads, most.KiB, most.Passes, most.Threads)
		}
		return nil
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return postern.Errorf(postern.CodeFieldInvalid, "the hash begins as bcrypt's and is none")
	}
	if cost > mostBcryptCost {
		return postern.Errorf(postern.CodeFieldInvalid, "the hash has bcrypt's cost %d, at most %d is allowed", cost, mostBcryptCost)
	}
	return nil
}

func isBcrypt(hash string) bool { return strings.HasPrefix(hash, "$2") }

// bcryptRight compares in constant time.
func bcryptRight(password, hash string) bool {
	return len(password) <= mostBcrypt && CheckHash(postern.Secret(hash)) == nil &&
		bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}
