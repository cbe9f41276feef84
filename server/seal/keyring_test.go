package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
)

func ring(t testing.TB, keys ...seal.Key) *seal.Keyring {
	t.Helper()
	r, err := seal.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealed(t testing.TB, r *seal.Keyring, secret string, context []byte) []byte {
	t.Helper()
	text, err := r.Seal([]byte(secret), context)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func refused(t *testing.T, what string, err error, code postern.Code) {
	t.Helper()
	if !postern.HasCode(err, code) {
		t.Errorf("%s: got %v, want %s", what, err, code)
	}
}

func TestSealedOpensAtItsPlaceOnly(t *testing.T) {
	r := ring(t, seal.NewKey())
	place := seal.Row("vault_secret", "vs_1", "value")
	for _, secret := range []string{"", "x", strings.Repeat("secret", 10_000)} {
		text := sealed(t, r, secret, place)
		if len(text) != len(secret)+seal.Overhead || secret != "" && len(secret) > 1 && bytes.Contains(text, []byte(secret)) {
			t.Errorf("a secret of %d bytes is sealed to %d", len(secret), len(text))
		}
		got, err := r.Unseal(text, place)
		if err != nil || string(got) != secret {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		for name, other := range map[string][]byte{
			"another row":      seal.Row("vault_secret", "vs_2", "value"),
			"another kind":     seal.Row("tls_certificate", "vs_1", "value"),
			"another field":    seal.Row("vault_secret", "vs_1", "name"),
			"the same letters": seal.Row("vault_secretvs", "_1", "value"),
			"no place":         nil,
		} {
			_, err := r.Unseal(text, other)
			refused(t, name, err, postern.CodeSealBroken)
		}
	}
	if bytes.Equal(sealed(t, r, "same", place), sealed(t, r, "same", place)) {
		t.Error("the same secret looks the same twice")
	}
}

func TestEveryBitCounts(t *testing.T) {
	r := ring(t, seal.NewKey())
	place := seal.Row("vault_secret", "vs_1", "value")
	text := sealed(t, r, "secret", place)
	for i := range text {
		for bit := range 8 {
			changed := slices.Clone(text)
			changed[i] ^= 1 << bit
			want := postern.CodeSealBroken
			if i >= 1 && i < 9 {
				want = postern.CodeSealingKeyMissing
			}
			_, err := r.Unseal(changed, place)
			refused(t, fmt.Sprintf("byte %d, bit %d", i, bit), err, want)
		}
		if _, err := r.Unseal(text[:i], place); !postern.HasCode(err, postern.CodeSealBroken) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
	_, err := r.Unseal(append(slices.Clone(text), 0), place)
	refused(t, "a byte more", err, postern.CodeSealBroken)
}

// The newest key seals, all open; who lacks a key says which.
func TestKeysOverlap(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	place := seal.Row("ssh_certificate_authority", "sshca_1", "private_key")
	before := sealed(t, ring(t, older), "secret", place)
	both := ring(t, newer, older)
	if got, err := both.Unseal(before, place); err != nil || string(got) != "secret" {
		t.Errorf("what the older key sealed: %q, %v", got, err)
	}
	after := sealed(t, both, "secret", place)
	if id, err := seal.KeyOf(after); err != nil || id != newer.ID() || both.Current() != newer.ID() {
		t.Errorf("sealed with %v, %v", id, err)
	}
	if text, err := both.SealWith(older.ID(), []byte("x"), place); err != nil {
		t.Error(err)
	} else if id, err := seal.KeyOf(text); err != nil || id != older.ID() {
		t.Errorf("SealWith sealed with %v, %v", id, err)
	}
	alone := ring(t, newer)
	if got, err := alone.Unseal(after, place); err != nil || string(got) != "secret" {
		t.Errorf("without the older key: %q, %v", got, err)
	}
	_, err := alone.Unseal(before, place)
	refused(t, "without its key", err, postern.CodeSealingKeyMissing)
	if err == nil || !strings.Contains(err.Error(), older.ID().String()) {
		t.Errorf("the message does not name the key: %v", err)
	}
	_, err = alone.SealWith(older.ID(), nil, nil)
	refused(t, "sealing without the key", err, postern.CodeSealingKeyMissing)
	if alone.Has(older.ID()) || !both.Has(older.ID()) || !slices.Equal(both.Keys(), []seal.KeyID{newer.ID(), older.ID()}) {
		t.Error("the ring does not know its keys")
	}
}

// A key that another process has added is found when it is first needed; a source that
// cannot be read changes nothing.
func TestKeysAreReadAgain(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	var mu sync.Mutex
	keys, trouble := []seal.Key{older}, error(nil)
	r, err := seal.Open(func() ([]seal.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		return keys, trouble
	})
	if err != nil {
		t.Fatal(err)
	}
	place := seal.Row("vault_secret", "vs_1", "value")
	text := sealed(t, ring(t, newer), "secret", place)
	mu.Lock()
	keys = []seal.Key{newer, older}
	mu.Unlock()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := r.Unseal(text, place); err != nil || string(got) != "secret" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
	mu.Lock()
	keys, trouble = nil, errors.New("the disk is gone")
	mu.Unlock()
	if err := r.Reload(); !errors.Is(err, trouble) || !r.Has(older.ID()) {
		t.Errorf("after a failed reading: %v, %v", err, r.Keys())
	}
	mu.Lock()
	trouble = nil
	mu.Unlock()
	refused(t, "no keys", r.Reload(), postern.CodeConfigInvalid)
	if r.Current() != newer.ID() {
		t.Error("a refused reading changed the ring")
	}
}

func TestRingRefuses(t *testing.T) {
	key := seal.NewKey()
	many := make([]seal.Key, 17)
	for i := range many {
		many[i] = seal.NewKey()
	}
	for name, keys := range map[string][]seal.Key{"none": nil, "twice": {key, key}, "too many": many} {
		_, err := seal.NewKeyring(keys...)
		refused(t, name, err, postern.CodeConfigInvalid)
	}
}

// No way of printing a key shows it.
func TestKeysDoNotPrint(t *testing.T) {
	key := seal.NewKey()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", key, "pointer", &key, "keys", []seal.Key{key})
	printed := log.String() + fmt.Sprintf("%v %+v %#v %s %x %d %v", key, key, key, key, key, key, []seal.Key{key})
	raw := fmt.Sprintf("%x", decoded(t, key))
	for _, secret := range []string{key.Encode().Reveal(), raw, strings.ToUpper(raw), fmt.Sprint(decoded(t, key))} {
		if strings.Contains(printed, secret) {
			t.Errorf("the key shows in %s", printed)
		}
	}
	if !strings.Contains(printed, key.ID().String()) {
		t.Errorf("the key's id is not in %s", printed)
	}
}

// Nothing opens but what was sealed, and nothing panics.
func FuzzUnseal(f *testing.F) {
	var secret [32]byte
	key, err := seal.ParseKey("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		f.Fatal(err)
	}
	r := ring(f, key)
	place := seal.Row("vault_secret", "vs_1", "value")
	f.Add(sealed(f, r, "secret", place))
	f.Add(sealed(f, r, "", seal.Row("vault_secret", "vs_2", "value")))
	f.Add(secret[:])
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := r.Unseal(text, place)
		if err == nil && len(got)+seal.Overhead != len(text) {
			t.Errorf("%d bytes opened to %d", len(text), len(got))
		}
		if err != nil && !postern.HasCode(err, postern.CodeSealBroken) && !postern.HasCode(err, postern.CodeSealingKeyMissing) {
			t.Errorf("%v", err)
		}
		again := sealed(t, r, string(text), place)
		if back, err := r.Unseal(again, place); err != nil || !bytes.Equal(back, text) {
			t.Errorf("sealing %x and opening gave %x, %v", text, back, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r := ring(b, seal.NewKey())
	secret, place := make([]byte, 256), seal.Row("vault_secret", "vs_1", "value")
	b.ReportAllocs()
	for b.Loop() {
		text, err := r.Seal(secret, place)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Unseal(text, place); err != nil {
			b.Fatal(err)
		}
	}
}
