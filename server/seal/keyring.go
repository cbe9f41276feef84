package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

const (
	version  = 1
	saltSize = 24
	tagSize  = 16

	headerSize = 1 + len(KeyID{}) + saltSize

	// Overhead is by how many bytes what Seal returns is longer than the secret.
	Overhead = headerSize + tagSize

	purpose = "postern sealed row 1"
)

// Keyring seals with one key and opens with several. All methods may be called from
// anywhere at once.
type Keyring struct {
	keys atomic.Pointer[[]Key] // the one that seals first

	reading sync.Mutex
	read    func() ([]Key, error) // nil: the keys never change by themselves
}

// NewKeyring has these keys; the first seals. No key, or one twice, is
// CodeConfigInvalid.
func NewKeyring(keys ...Key) (*Keyring, error) {
	return Open(func() ([]Key, error) { return keys, nil })
}

// Open has the keys that read returns, now and whenever a key is asked for that is not
// there: another process may have added one since. read is never called by two at once.
func Open(read func() ([]Key, error)) (*Keyring, error) {
	r := &Keyring{read: read}
	return r, r.Reload()
}

// Reload reads the keys again. On error those that were there stay.
func (r *Keyring) Reload() error {
	r.reading.Lock()
	defer r.reading.Unlock()
	keys, err := r.read()
	if err != nil {
		return err
	}
	if err := check(keys); err != nil {
		return err
	}
	keys = slices.Clone(keys)
	r.keys.Store(&keys)
	return nil
}

// Keys returns the ids of all keys, that of the one that seals first.
func (r *Keyring) Keys() []KeyID {
	var ids []KeyID
	for _, key := range *r.keys.Load() {
		ids = append(ids, key.id)
	}
	return ids
}

// Current is the key that seals.
func (r *Keyring) Current() KeyID { return (*r.keys.Load())[0].id }

// Has tells whether the ring has a key, if need be after reading the keys again.
func (r *Keyring) Has(id KeyID) bool {
	_, err := r.key(id)
	return err == nil
}

// key finds a key. What cannot be found is CodeSealingKeyMissing.
func (r *Keyring) key(id KeyID) (Key, error) {
	if key, found := r.find(id); found {
		return key, nil
	}
	err := r.Reload()
	if key, found := r.find(id); found {
		return key, nil
	}
	return Key{}, postern.Errorf(postern.CodeSealingKeyMissing, "the sealing key %s is not here; this server has %v", id, r.Keys()).Because(err)
}

func (r *Keyring) find(id KeyID) (Key, bool) {
	keys := *r.keys.Load()
	i := slices.IndexFunc(keys, func(k Key) bool { return k.id == id })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// Seal encrypts a secret for one place, see Row. The same secret never looks the same
// twice; its length shows.
func (r *Keyring) Seal(secret, context []byte) ([]byte, error) {
	return r.SealWith(r.Current(), secret, context)
}

// SealWith is Seal with another key of the ring. A key that is not there is
// CodeSealingKeyMissing.
func (r *Keyring) SealWith(id KeyID, secret, context []byte) ([]byte, error) {
	key, err := r.key(id)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, headerSize, Overhead+len(secret))
	sealed[0] = version
	copy(sealed[1:], key.id[:])
	_, _ = rand.Read(sealed[1+len(key.id) : headerSize]) // never fails, crypto/rand
	aead, nonce := key.message(sealed[:headerSize])
	return aead.Seal(sealed, nonce, secret, authenticated(sealed[:headerSize], context)), nil
}

// Unseal gives back the secret that was sealed for the same place. A key that is not
// there is CodeSealingKeyMissing; what was not sealed with it for this place, or was
// changed since, is CodeSealBroken.
func (r *Keyring) Unseal(sealed, context []byte) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	key, err := r.key(id)
	if err != nil {
		return nil, err
	}
	header := sealed[:headerSize]
	aead, nonce := key.message(header)
	secret, err := aead.Open(nil, nonce, sealed[headerSize:], authenticated(header, context))
	if err != nil {
		return nil, broken("a stored secret cannot be opened with the sealing key %s: it was changed, or belongs to another row", id)
	}
	return secret, nil
}

// KeyOf says which key has sealed something. What nothing has sealed is CodeSealBroken.
func KeyOf(sealed []byte) (KeyID, error) {
	switch {
	case len(sealed) < Overhead:
		return KeyID{}, broken("a stored secret has %d bytes, at least %d are needed", len(sealed), Overhead)
	case sealed[0] != version:
		return KeyID{}, broken("a stored secret is sealed in format %d, this program knows format %d", sealed[0], version)
	}
	return KeyID(sealed[1 : 1+len(KeyID{})]), nil
}

func broken(format string, args ...any) error {
	return postern.Errorf(postern.CodeSealBroken, format, args...)
}

// message is the cipher and the nonce of the one message that has this header.
func (k Key) message(header []byte) (cipher.AEAD, []byte) {
	const nonceSize = 12
	derived := k.derive(header[1+len(k.id):], purpose, keySize+nonceSize)
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		panic("seal: " + err.Error()) // for keys of other sizes only
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error()) // for blocks of other sizes only
	}
	return aead, derived[keySize:]
}

// authenticated is the additional data: the header's size is fixed, so the parts cannot
// be divided in another way.
func authenticated(header, context []byte) []byte {
	return append(slices.Clip(header), context...)
}
