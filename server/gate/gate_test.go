package gate_test

import (
	"encoding/base64"
	"iter"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/gate"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/seal"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// header is a request's, as the edge's is.
type header http.Header

func (h header) Values(name string) []string { return slices.Clone(h[name]) }
func (h header) Add(name, value string)      { h[name] = append(h[name], value) }
func (h header) Remove(name string)          { delete(h, name) }
func (h header) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, value := range h[name] {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// bench is a gate with what it was made from; time goes as a test says.
type bench struct {
	*gate.Gate
	credentials *gate.Credentials
	now         time.Time
	ring        *seal.Keyring
}

const here = "192.0.2.7"

func newBench(t testing.TB, c gate.Config, credentials ...string) *bench {
	t.Helper()
	b := &bench{now: time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)}
	ring, err := seal.NewKeyring(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	b.ring = ring
	c.Signer, c.Now = ring, func() time.Time { return b.now }
	if c.Scope == "" {
		c.Scope = "ac_1 https://app.example.com"
	}
	if c.Passwords == nil {
		c.Passwords = password.New(password.Cost{KiB: 64, Passes: 1, Threads: 1})
	}
	b.Gate = must(gate.New(c))
	b.credentials = set(t, credentials...)
	return b
}

func set(t testing.TB, texts ...string) *gate.Credentials {
	t.Helper()
	var all []gate.Credential
	for _, text := range texts {
		parse := gate.ParseCredential
		if strings.Contains(text, ":$") {
			parse = gate.ParseHashed
		}
		c, err := parse(postern.Secret(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	s, err := gate.NewCredentials(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

// asked is a request with these header lines, "Name: value".
func asked(lines ...string) gate.Request {
	h := header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return gate.Request{Method: http.MethodGet, Secure: true, Header: h.Values, Client: netip.MustParseAddr(here)}
}

func (b *bench) check(t testing.TB, r gate.Request) gate.Outcome {
	t.Helper()
	return b.Check(t.Context(), b.credentials, r)
}

// code is why a request is refused, "" where it passes.
func code(o gate.Outcome) postern.Code {
	if o.Refusal == nil {
		return ""
	}
	return o.Refusal.Failure.Code
}

// cookie signs in and gives the pair that the browser keeps.
func (b *bench) cookie(t testing.TB, pair string) string {
	t.Helper()
	o := b.check(t, asked("Authorization: "+basic(pair)))
	value, attributes, _ := strings.Cut(o.SetCookie, "; ")
	if attributes != "Path=/; Secure; HttpOnly; SameSite=Lax" || !strings.HasPrefix(value, "__Host-postern-gate-") {
		t.Fatalf("the cookie is %q", o.SetCookie)
	}
	return value
}

const (
	alice = "alice:correct horse"
	bob   = "bob:battery staple"
)

// Each way in, and what the service gets of the request: the gate's own is taken away, and
// everything else is as the visitor sent it.
func TestWaysIn(t *testing.T) {
	b := newBench(t, gate.Config{}, alice, bob)
	signedIn := b.cookie(t, alice)
	const bearer = "Authorization: Bearer eyJhbGciOi.e30.x-_y"
	for name, c := range map[string]struct {
		lines   []string
		code    postern.Code
		user    string
		service []string // header lines
	}{
		"nothing":                       {nil, postern.CodePasswordRequired, "", nil},
		"a token of the service's":      {[]string{bearer}, postern.CodePasswordRequired, "", nil},
		"Basic":                         {[]string{"Authorization: " + basic(alice)}, "", "alice", []string{}},
		"the other user":                {[]string{"Authorization: " + basic(bob)}, "", "bob", []string{}},
		"scheme in another case":        {[]string{"Authorization: bASIC   " + basic(alice)[6:]}, "", "alice", []string{}},
		"own header":                    {[]string{"Postern-Authorization: " + basic(alice)}, "", "alice", nil},
		"own header, service's token":   {[]string{"Postern-Authorization: " + basic(alice), bearer}, "", "alice", []string{bearer}},
		"own header, service's Basic":   {[]string{"Postern-Authorization: " + basic(alice), "Authorization: " + basic("root:toor")}, "", "alice", []string{"Authorization: " + basic("root:toor")}},
		"same name at the service":      {[]string{"Postern-Authorization: " + basic(alice), "Authorization: " + basic("alice:other password")}, "", "alice", []string{"Authorization: " + basic("alice:other password")}},
		"in both headers":               {[]string{"Postern-Authorization: " + basic(alice), "Authorization: " + basic(bob)}, "", "bob", []string{}},
		"own header wrong, other right": {[]string{"Postern-Authorization: " + basic("alice:wrong password"), "Authorization: " + basic(alice)}, postern.CodePasswordRequired, "alice", nil},
		"own header wrong, cookie":      {[]string{"Postern-Authorization: Bearer x", "Cookie: " + signedIn}, postern.CodePasswordRequired, "alice", nil},
		"cookie":                        {[]string{"Cookie: " + signedIn}, "", "alice", []string{}},
		"cookie and token":              {[]string{"Cookie: " + signedIn, bearer}, "", "alice", []string{bearer}},
		"cookie among others":           {[]string{"Cookie: a=1;  " + signedIn + ";b=\"2\" ; " + signedIn + "; a=3", bearer}, "", "alice", []string{bearer, "Cookie: a=1;b=\"2\" ; a=3"}},
		"cookie first":                  {[]string{"Cookie: " + signedIn + "; a=1"}, "", "alice", []string{"Cookie: a=1"}},
		"cookie on a line of its own":   {[]string{"Cookie: a=1", "Cookie: " + signedIn}, "", "alice", []string{"Cookie: a=1"}},
		"cookie and another's Basic":    {[]string{"Cookie: " + signedIn, "Authorization: " + basic("carol:whatever it is")}, "", "alice", []string{"Authorization: " + basic("carol:whatever it is")}},
		"cookie and the gate's Basic":   {[]string{"Cookie: " + signedIn + "; x", "Authorization: " + basic(bob)}, "", "bob", []string{"Cookie: x"}},
		"the service's cookies":         {[]string{"Authorization: " + basic(alice), "Cookie: =; ;;a=__Host-postern-gate-; b"}, "", "alice", []string{"Cookie: =; ;;a=__Host-postern-gate-; b"}},
		"wrong password":                {[]string{"Authorization: " + basic("alice:correct horse ")}, postern.CodePasswordRequired, "alice", nil},
		"the other's password":          {[]string{"Authorization: " + basic("alice:battery staple")}, postern.CodePasswordRequired, "alice", nil},
		"name in another case":          {[]string{"Authorization: " + basic("Alice:correct horse")}, postern.CodePasswordRequired, "Alice", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := asked(c.lines...)
			o := b.check(t, r)
			if code(o) != c.code || o.Username != c.user || o.Authorized != (c.code == "") {
				t.Fatalf("%q, user %q, authorized %v", code(o), o.Username, o.Authorized)
			}
			if c.service == nil {
				return
			}
			h := header{}
			for _, name := range []string{"Authorization", "Cookie"} {
				for _, value := range r.Header(name) {
					h.Add(name, value)
				}
			}
			o.Strip(h)
			got := []string{}
			for name, value := range h.All() {
				got = append(got, name+": "+value)
			}
			if !slices.Equal(got, c.service) {
				t.Errorf("the service gets %q, want %q", got, c.service)
			}
		})
	}
}

// No form of a credential but the one of RFC 7617 opens the gate, and where others could
// read another one the request is refused.
func TestAttacks(t *testing.T) {
	b := newBench(t, gate.Config{}, alice, bob, "empty::colons::", "zoë:pässword")
	right := basic(alice)
	for name, c := range map[string]struct {
		lines []string
		code  postern.Code
	}{
		"colons in the password":      {[]string{"Authorization: " + basic("empty::colons::")}, ""},
		"UTF-8":                       {[]string{"Authorization: " + basic("zoë:pässword")}, ""},
		"Latin-1":                     {[]string{"Authorization: " + basic("zo\xeb:p\xe4ssword")}, postern.CodePasswordRequired},
		"two lines":                   {[]string{"Authorization: " + right, "Authorization: Bearer x"}, postern.CodeRequestInvalid},
		"two lines, the other order":  {[]string{"Authorization: Bearer x", "Authorization: " + right}, postern.CodeRequestInvalid},
		"the same twice":              {[]string{"Authorization: " + right, "Authorization: " + right}, postern.CodeRequestInvalid},
		"an empty line":               {[]string{"Authorization: ", "Authorization: " + right}, postern.CodeRequestInvalid},
		"two of its own":              {[]string{"Postern-Authorization: " + right, "Postern-Authorization: " + right}, postern.CodeRequestInvalid},
		"a list":                      {[]string{"Authorization: " + right + ", Bearer x"}, postern.CodeRequestInvalid},
		"a list without a space":      {[]string{"Authorization: " + right + ",Bearer x"}, postern.CodeRequestInvalid},
		"a list in its own":           {[]string{"Postern-Authorization: " + right + ", " + right}, postern.CodeRequestInvalid},
		"second in a list":            {[]string{"Authorization: Bearer x, " + right}, postern.CodePasswordRequired},
		"folded name":                 {[]string{"Postern_Authorization: " + right}, postern.CodePasswordRequired},
		"folded name, dot":            {[]string{"Postern.Authorization: " + right}, postern.CodePasswordRequired},
		"proxy's header":              {[]string{"Proxy-Authorization: " + right}, postern.CodePasswordRequired},
		"no scheme":                   {[]string{"Authorization: " + right[6:]}, postern.CodePasswordRequired},
		"scheme alone":                {[]string{"Authorization: Basic"}, postern.CodePasswordRequired},
		"scheme and space":            {[]string{"Authorization: Basic "}, postern.CodePasswordRequired},
		"tab":                         {[]string{"Authorization: Basic\t" + right[6:]}, postern.CodePasswordRequired},
		"no space":                    {[]string{"Authorization: Basic" + right[6:]}, postern.CodePasswordRequired},
		"another scheme":              {[]string{"Authorization: Basics " + right[6:]}, postern.CodePasswordRequired},
		"quoted":                      {[]string{"Authorization: Basic \"" + right[6:] + "\""}, postern.CodePasswordRequired},
		"parameters":                  {[]string{"Authorization: " + right + " x=y"}, postern.CodePasswordRequired},
		"plain text":                  {[]string{"Authorization: Basic " + alice}, postern.CodePasswordRequired},
		"no padding":                  {[]string{"Authorization: " + strings.TrimRight(basic("bob:battery staple"), "=")}, ""},
		"padding missing":             {[]string{"Authorization: " + strings.TrimRight(basic("zoë:pässword"), "=")}, postern.CodePasswordRequired},
		"padding twice":               {[]string{"Authorization: " + basic("zoë:pässword") + "="}, postern.CodePasswordRequired},
		"other bits at the end":       {[]string{"Authorization: Basic em/DqzpwwqRzc3dvcmR="}, postern.CodePasswordRequired},
		"line break in base64":        {[]string{"Authorization: " + right[:10] + "\n" + right[10:]}, postern.CodePasswordRequired},
		"space in base64":             {[]string{"Authorization: " + right[:10] + " " + right[10:]}, postern.CodePasswordRequired},
		"base64 of another alphabet":  {[]string{"Authorization: Basic " + base64.URLEncoding.EncodeToString([]byte("a:\xff\xfe\xfd>>>???"))}, postern.CodePasswordRequired},
		"without a colon":             {[]string{"Authorization: " + basic("alice")}, postern.CodePasswordRequired},
		"NUL behind":                  {[]string{"Authorization: " + basic(alice+"\x00")}, postern.CodePasswordRequired},
		"NUL inside":                  {[]string{"Authorization: " + basic("alice\x00:correct horse")}, postern.CodePasswordRequired},
		"beginning":                   {[]string{"Authorization: " + basic(alice[:len(alice)-1])}, postern.CodePasswordRequired},
		"empty":                       {[]string{"Authorization: " + basic(":")}, postern.CodePasswordRequired},
		"large":                       {[]string{"Authorization: " + basic(alice+strings.Repeat(" ", 2000))}, postern.CodePasswordRequired},
		"large blank":                 {[]string{"Authorization: Basic " + strings.Repeat(" ", 2000) + right[6:]}, postern.CodePasswordRequired},
		"Digest, which may have them": {[]string{"Authorization: Digest username=\"alice\", realm=\"x\"", "Postern-Authorization: " + right}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if o := b.check(t, asked(c.lines...)); code(o) != c.code {
				t.Errorf("%q, want %q", code(o), c.code)
			}
			b.now = b.now.Add(time.Minute) // guesses are counted
		})
	}
}
