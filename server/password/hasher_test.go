package password_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/password"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// cheap is a cost for tests.
func cheap() password.Cost { return password.Cost{KiB: 64, Passes: 1, Threads: 1} }

func TestHashAndVerify(t *testing.T) {
	h := password.New(cheap())
	const text = "correct horse — 東京"
	first, err := h.Hash(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Hash(t.Context(), text)
	if err != nil || first == second {
		t.Errorf("the same password has the same hash: %v", err)
	}
	if !strings.HasPrefix(first.Reveal(), "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(first.Reveal(), "horse") {
		t.Errorf("hash %s", first.Reveal())
	}
	for _, c := range []struct {
		password, hash postern.Secret
		right          bool
	}{
		{text, first, true}, {text, second, true}, {text + " ", first, false}, {"", first, false},
		{text, "", false}, {"", "", false}, {text, "$argon2id$", false}, {text, first + "A", false},
		{postern.Secret(strings.Repeat("x", password.Longest+1)), first, false},
	} {
		right, outdated, err := h.Verify(t.Context(), c.password, c.hash)
		if right != c.right || outdated || err != nil {
			t.Errorf("%q with %q: %v, %v, %v", c.password.Reveal(), c.hash.Reveal(), right, outdated, err)
		}
	}
}

// The vector of RFC 9106 is of a keyed hash, which nobody can ask for here; this one was
// made by the reference implementation: argon2 -id -t 2 -m 16 -p 1, "password", "somesalt".
func TestVector(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	right, outdated, err := password.New(cheap()).Verify(t.Context(), "password", hash)
	if !right || !outdated || err != nil {
		t.Errorf("%v, %v, %v", right, outdated, err)
	}
}

func TestOrdinaryCost(t *testing.T) {
	h := password.New(password.Ordinary())
	hash, err := h.Hash(t.Context(), "long enough for this")
	if err != nil || !strings.HasPrefix(hash.Reveal(), "$argon2id$v=19$m=32768,t=3,p=1$") {
		t.Fatalf("%s, %v", hash.Reveal(), err)
	}
	if right, outdated, err := h.Verify(t.Context(), "long enough for this", hash); !right || outdated || err != nil {
		t.Errorf("%v, %v, %v", right, outdated, err)
	}
}

func TestCheck(t *testing.T) {
	for text, ok := range map[postern.Secret]bool{
		"0123456789": true, "012345678": false, "": false, "東京東京東京東京東京": true, "東京東": false, "0123456789\xff": false,
		postern.Secret(strings.Repeat("x", 256)): true, postern.Secret(strings.Repeat("x", 257)): false,
	} {
		err := password.Check(text)
		if (err == nil) != ok || !ok && !postern.HasCode(err, postern.CodeFieldInvalid) {
			t.Errorf("%q: %v", text.Reveal(), err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text.Reveal()) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	if _, err := password.New(cheap()).Hash(t.Context(), "short"); !postern.HasCode(err, postern.CodeFieldInvalid) {
		t.Error(err)
	}
}

// Who comes when too many wait is told so at once, and nobody waits beyond its context.
func TestBounded(t *testing.T) {
	h := password.New(password.Cost{KiB: 32 << 10, Passes: 4, Threads: 1})
	if _, _, err := h.Verify(t.Context(), "whatever it is", ""); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	done, busy := 0, 0
	for range 200 {
		all.Go(func() {
			_, _, err := h.Verify(ctx, "whatever it is", "")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			} else if postern.HasCode(err, postern.CodeServerBusy) {
				busy++
			}
		})
	}
	all.Wait()
	if busy < 100 || done+busy != 200 {
		t.Errorf("%d done, %d busy", done, busy)
	}
}

func BenchmarkOrdinary(b *testing.B) {
	h := password.New(password.Ordinary())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := h.Verify(b.Context(), "whatever it is", ""); err != nil {
			b.Fatal(err)
		}
	}
}
