package gate_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/gate"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/seal"
)

// A cookie is good for its gate, its credential and its time, and nothing else.
func TestCookies(t *testing.T) {
	b := newBench(t, gate.Config{Scope: "ac_1 https://a.example.com"}, alice, bob)
	now := func() time.Time { return b.now }
	other := func(c gate.Config, credentials ...string) *bench {
		if c.Signer == nil {
			c.Signer = b.ring
		}
		c.Now = now
		if c.Scope == "" {
			c.Scope = "ac_1 https://a.example.com"
		}
		return &bench{Gate: must(gate.New(c)), credentials: set(t, credentials...)}
	}
	value := b.cookie(t, alice)
	name, text, _ := strings.Cut(value, "=")
	flipped := func(i int) string {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		c := alphabet[(strings.IndexByte(alphabet, text[i])+4)%64]
		return name + "=" + text[:i] + string(c) + text[i+1:]
	}
	rotated, err := seal.NewKeyring(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		gate   *bench
		cookie string
		passes bool
	}{
		"itself":                        {b, value, true},
		"after a restart":               {other(gate.Config{}, alice, bob), value, true},
		"credentials in another order":  {other(gate.Config{}, bob, alice), value, true},
		"the password was changed":      {other(gate.Config{}, "alice:correct horses", bob), value, false},
		"the user was renamed":          {other(gate.Config{}, "alicia:correct horse", bob), value, false},
		"the user is gone":              {other(gate.Config{}, bob), value, false},
		"another endpoint":              {other(gate.Config{Scope: "ac_1 https://b.example.com"}, alice, bob), value, false},
		"another account":               {other(gate.Config{Scope: "ac_2 https://a.example.com"}, alice, bob), value, false},
		"another realm":                 {other(gate.Config{Realm: "admins"}, alice, bob), value, false},
		"another server":                {other(gate.Config{Signer: rotated}, alice, bob), value, false},
		"without a key":                 {&bench{Gate: must(gate.New(gate.Config{Scope: "ac_1 https://a.example.com", Now: now})), credentials: b.credentials}, value, false},
		"another version":               {b, flipped(0), false},
		"another time":                  {b, flipped(8), false},
		"another signature":             {b, flipped(50), false},
		"cut":                           {b, value[:len(value)-1], false},
		"longer":                        {b, value + "A", false},
		"empty":                         {b, name + "=", false},
		"no value":                      {b, name, false},
		"padded":                        {b, value + "=", false},
		"quoted":                        {b, name + "=\"" + text + "\"", false},
		"another name":                  {b, strings.ToUpper(name) + "=" + text, false},
		"a name that begins so":         {b, name + "x=" + text, false},
		"behind a bad one":              {b, name + "=x; " + value, true},
		"behind more bad ones than few": {b, strings.Repeat(name+"=x; ", 4) + value, false},
		"with spaces":                   {b, "a=1 ;  " + name + " = " + text + " ", true},
	} {
		if o := c.gate.Check(t.Context(), c.gate.credentials, asked("Cookie: "+c.cookie)); (o.Refusal == nil) != c.passes || o.Authorized != c.passes {
			t.Errorf("%s: %q", what, code(o))
		}
	}
	plain := asked("Cookie: " + value)
	plain.Secure = false
	if o := b.check(t, plain); o.Refusal == nil {
		t.Error("a cookie opens the gate without TLS")
	}
	plain = asked("Authorization: " + basic(alice))
	plain.Secure = false
	if o := b.check(t, plain); o.Refusal != nil || o.SetCookie != "" {
		t.Errorf("without TLS: %q, cookie %q", code(o), o.SetCookie)
	}
	b.now = b.now.Add(12*time.Hour - time.Second)
	if o := b.check(t, asked("Cookie: "+value)); o.Refusal != nil {
		t.Error("it ends too early")
	}
	b.now = b.now.Add(time.Second)
	if o := b.check(t, asked("Cookie: "+value)); o.Refusal == nil {
		t.Error("it does not end")
	}
	b.now = b.now.Add(-13 * time.Hour)
	if o := b.check(t, asked("Cookie: "+value)); o.Refusal == nil {
		t.Error("it is good for longer than cookies are made for")
	}
}

// Who shows a password gets a cookie unless there is one that lasts.
func TestCookieIsRenewed(t *testing.T) {
	b := newBench(t, gate.Config{}, alice, bob)
	value := b.cookie(t, alice)
	for _, c := range []struct {
		after time.Duration
		pair  string
		set   bool
	}{
		{0, alice, false}, {0, bob, true}, {6 * time.Hour, alice, false}, {6*time.Hour + time.Second, alice, true}, {time.Hour, "", false}, {13 * time.Hour, alice, true},
	} {
		began := b.now
		b.now = began.Add(c.after)
		lines := []string{"Cookie: " + value}
		if c.pair != "" {
			lines = append(lines, "Authorization: "+basic(c.pair))
		}
		if o := b.check(t, asked(lines...)); o.Refusal != nil || (o.SetCookie != "") != c.set {
			t.Errorf("after %v, %q: %q, cookie %q", c.after, c.pair, code(o), o.SetCookie)
		}
		b.now = began
	}
}

func TestGrantedAddress(t *testing.T) {
	b := newBench(t, gate.Config{GrantAddress: 8 * time.Hour}, alice)
	bearer := asked("Authorization: Bearer x")
	if o := b.check(t, bearer); o.Refusal == nil {
		t.Fatal("it passes before anybody has signed in")
	}
	b.check(t, asked("Authorization: "+basic("alice:wrong password")))
	if o := b.check(t, bearer); o.Refusal == nil {
		t.Fatal("it passes after a wrong password")
	}
	b.check(t, asked("Authorization: "+basic(alice)))
	o := b.check(t, bearer)
	h := header{"Authorization": {"Bearer x"}}
	if o.Strip(h); o.Refusal != nil || !o.Authorized || o.Username != "" || o.Presented || o.SetCookie != "" || len(h) != 1 {
		t.Errorf("%q, %+v, %v", code(o), o, h)
	}
	mapped := bearer
	mapped.Client = netip.MustParseAddr("::ffff:" + here)
	if o := b.check(t, mapped); o.Refusal != nil {
		t.Error("the same address, written otherwise, does not pass")
	}
	for _, other := range []string{"192.0.2.8", "2001:db8::1"} {
		r := bearer
		r.Client = netip.MustParseAddr(other)
		if o := b.check(t, r); o.Refusal == nil {
			t.Errorf("%s passes", other)
		}
	}
	if o := b.Check(t.Context(), set(t, "alice:another password"), bearer); o.Refusal == nil {
		t.Error("it passes after the password was changed")
	}
	b.now = b.now.Add(8 * time.Hour)
	if o := b.check(t, bearer); o.Refusal == nil {
		t.Error("it passes for ever")
	}
	// A cookie is a sign-in, too: from the address where it is shown.
	b.now = b.now.Add(-8 * time.Hour)
	cookie := b.cookie(t, alice)
	b.now = b.now.Add(9 * time.Hour)
	b.check(t, asked("Cookie: "+cookie))
	if o := b.check(t, bearer); o.Refusal != nil {
		t.Error("it does not pass after a cookie was shown")
	}
	// Off by default.
	off := newBench(t, gate.Config{}, alice)
	off.check(t, asked("Authorization: "+basic(alice)))
	if o := off.check(t, bearer); o.Refusal == nil {
		t.Error("addresses pass where nobody asked for it")
	}
}

// The address that signed in longest ago is forgotten where there are too many.
func TestGrantsAreBounded(t *testing.T) {
	b := newBench(t, gate.Config{GrantAddress: time.Hour}, alice)
	r := asked("Postern-Authorization: " + basic(alice))
	for i := range 5000 {
		r.Client = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		b.check(t, r)
	}
	passing := 0
	for i := range 5000 {
		r := asked()
		r.Client = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if b.check(t, r).Refusal == nil {
			passing++
		}
	}
	if passing != 4096 {
		t.Errorf("%d addresses pass", passing)
	}
}

// counting counts how often passwords are compared.
type counting struct {
	*password.Hasher
	hashes atomic.Int32
	hold   chan struct{}
}

func (c *counting) Verify(ctx context.Context, text, hash postern.Secret) (right, outdated bool, err error) {
	c.hashes.Add(1)
	if c.hold != nil {
		<-c.hold
	}
	return c.Hasher.Verify(ctx, text, hash)
}

func TestHashedPasswords(t *testing.T) {
	cheap := password.New(password.Cost{KiB: 64, Passes: 1, Threads: 1})
	argon, err := cheap.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	bcrypted, err := bcrypt.GenerateFromPassword([]byte("battery staple"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hashes := &counting{Hasher: cheap}
	b := newBench(t, gate.Config{Passwords: hashes}, "alice:"+argon.Reveal(), "bob:"+string(bcrypted), "carol:in plain text")
	for _, c := range []struct {
		pair   string
		passes bool
		hashes int32 // made for it
	}{
		{alice, true, 1}, {alice, true, 0}, {bob, true, 1}, {bob, true, 0}, {alice, true, 0},
		{"carol:in plain text", true, 0}, {"carol:wrong", false, 1}, {"carol:wrong", false, 0},
		{"alice:battery staple", false, 1}, {"alice:battery staple", false, 0}, {"mallory:whoever", false, 1},
		{"alice:" + argon.Reveal(), false, 1}, {"bob:" + string(bcrypted), false, 1},
	} {
		before := hashes.hashes.Load()
		o := b.check(t, asked("Authorization: "+basic(c.pair)))
		if made := hashes.hashes.Load() - before; (o.Refusal == nil) != c.passes || made != c.hashes {
			t.Errorf("%s: %q, %d hashes", c.pair, code(o), made)
		}
	}
}

// The requests of a page come at once, and are one guess.
func TestOneHashForManyRequests(t *testing.T) {
	cheap := password.New(password.Cost{KiB: 64, Passes: 1, Threads: 1})
	argon, err := cheap.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	hashes := &counting{Hasher: cheap, hold: make(chan struct{})}
	b := newBench(t, gate.Config{Passwords: hashes}, "alice:"+argon.Reveal())
	var all sync.WaitGroup
	var refused atomic.Int32
	for range 100 {
		all.Go(func() {
			if b.check(t, asked("Authorization: "+basic(alice))).Refusal != nil {
				refused.Add(1)
			}
		})
	}
	close(hashes.hold)
	all.Wait()
	if refused.Load() != 0 {
		t.Errorf("%d refused, %d hashes", refused.Load(), hashes.hashes.Load())
	}
	// Nobody is let in whose password could not be looked at.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	busy := newBench(t, gate.Config{Passwords: refusing{}}, "alice:"+argon.Reveal())
	if o := busy.Check(ctx, busy.credentials, asked("Authorization: "+basic(alice))); code(o) != postern.CodeServerBusy {
		t.Errorf("%q", code(o))
	}
}

type refusing struct{}

func (refusing) Verify(context.Context, postern.Secret, postern.Secret) (right, outdated bool, err error) {
	return true, false, postern.Errorf(postern.CodeServerBusy, "busy")
}
