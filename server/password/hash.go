package password

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one hash costs.
type Cost struct {
	KiB     uint32 // of memory
	Passes  uint32
	Threads uint8
}

// Ordinary is the cost of new hashes.
func Ordinary() Cost { return Cost{KiB: 32 << 10, Passes: 3, Threads: 1} }

const (
	saltSize = 16
	hashSize = 32
)

// What is believed of a stored hash. A database that somebody else has written must not
// be able to have us take any amount of memory.
const (
	mostKiB     = 1 << 20
	mostPasses  = 32
	mostThreads = 16
	mostBytes   = 64 // of a salt, or a hash
)

// stored is a hash as it is kept.
type stored struct {
	cost       Cost
	salt, hash []byte
}

func (s stored) String() string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, s.cost.KiB, s.cost.Passes, s.cost.Threads,
		encode(s.salt), encode(s.hash))
}

// parse reads a stored hash. It takes exactly what String writes.
func parse(text string) (s stored, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return stored{}, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &s.cost.KiB, &s.cost.Passes, &s.cost.Threads); n != 3 || err != nil || !s.cost.valid() {
		return stored{}, false
	}
	for i, to := range []*[]byte{&s.salt, &s.hash} {
		bytes, err := base64.RawStdEncoding.Strict().DecodeString(parts[4+i])
		if err != nil || len(bytes) < 8 || len(bytes) > mostBytes {
			return stored{}, false
		}
		*to = bytes
	}
	return s, s.String() == text
}

func (c Cost) valid() bool {
	return c.KiB >= 8*uint32(c.Threads) && c.KiB <= mostKiB && c.Passes >= 1 && c.Passes <= mostPasses && c.Threads >= 1 && c.Threads <= mostThreads
}

// key is the hash of a password.
func (c Cost) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, c.Passes, c.KiB, c.Threads, size)
}
