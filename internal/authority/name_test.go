package authority_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
)

func TestParseName(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for _, c := range []struct{ text, want, fault string }{
		{"api.example.com", "api.example.com", ""},
		{"API.Example.COM", "api.example.com", ""},
		{"  api.example.com\n", "api.example.com", ""},
		{"api.example.com.", "api.example.com", ""},
		{"localhost", "localhost", ""},
		{"printer", "printer", ""},
		{"*.example.com", "*.example.com", ""},
		{"*.customer1.example.co.uk", "*.customer1.example.co.uk", ""},
		{"*.internal.corp", "*.internal.corp", ""},
		{"_dmarc.example.com", "_dmarc.example.com", ""},
		{"a_b.example.com", "a_b.example.com", ""},
		{"münchen.example", "xn--mnchen-3ya.example", ""},
		{"*.münchen.example", "*.xn--mnchen-3ya.example", ""},
		{"xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""},
		{"例え.jp", "xn--r8jz45g.jp", ""},
		{"MÜNCHEN.example", "xn--mnchen-3ya.example", ""},
		{label63 + ".example", label63 + ".example", ""},
		{"1.example.com", "1.example.com", ""},
		{"4.example.com", "4.example.com", ""},
		{"192.0.2.1", "192.0.2.1", ""},
		{"::1", "::1", ""},
		{"[2001:db8::1]", "2001:db8::1", ""},
		{"2001:DB8::1", "2001:db8::1", ""},
		{"::ffff:192.0.2.1", "192.0.2.1", ""},
		{"a--b.example", "a--b.example", ""},

		{"", "", "is empty"},
		{" ", "", "is empty"},
		{".", "", "1 to 253"},
		{"..", "", "1 to 63"},
		{"a..b", "", "1 to 63"},
		{".example.com", "", "1 to 63"},
		{"example.com..", "", "1 to 63"},
		{label63 + "a.example", "", "1 to 63"},
		{strings.Repeat("abcdefg.", 32) + "com", "", "1 to 253"},
		{"-a.example.com", "", "dash"},
		{"–days", "", "dash"},
		{"a-.example.com", "", "hyphen"},
		{"a.-b.com", "", "hyphen"},
		{"https://api.example.com/v1", "", `write the name alone, without "https://": "api.example.com"`},
		{"tls://api.example.com", "", "without"},
		{"api.example.com/v1", "", "path"},
		{"192.0.2.0/24", "", "mask"},
		{`api.example.com\`, "", "path"},
		{"api.example.com:443", "", `write "api.example.com"`},
		{"[::1]:443", "", `write "::1"`},
		{"192.0.2.1:443", "", "port"},
		{"alice@example.com", "", "postern ca client alice@example.com"},
		{"a.example.com,b.example.com", "", "several"},
		{"a.example.com b.example.com", "", "several"},
		{"a.example.com;b", "", "several"},
		{"“api.example.com”", "", "quotes"},
		{`"api.example.com"`, "", "quotes"},
		{"'*.example.com'", "", "quotes"},
		{"{SUBDOMAIN}.example.com", "", "placeholder"},
		{"$HOST", "", "placeholder"},
		{"<name>", "", "placeholder"},
		{"*", "", "needs a domain"},
		{"*.", "", "needs a domain"},
		{"**.example.com", "", "one wildcard"},
		{"*.*.example.com", "", "one wildcard"},
		{"a.*.example.com", "", "first label"},
		{"api*.example.com", "", "first label"},
		{"*example.com", "", "first label"},
		{"*.com", "", `all of "com"`},
		{"*.co.uk", "", `all of "co.uk"`},
		{"*.localhost", "", "all of"},
		{"256.0.0.1", "", "ends in a number"},
		{"192.0.2", "", "ends in a number"},
		{"0.", "", "ends in a number"},
		{"192.0.2.1.", "", "ends in a number"},
		{"１９２.０.２", "", "ends in a number"},
		{"1.2.3.4.5", "", "ends in a number"},
		{"0.0.0.0", "", "nobody visits"},
		{"224.0.0.1", "", "nobody visits"},
		{"fe80::1%eth0", "", "without a zone"},
		{"xn--.example", "", "hyphen"},
		{"xn--a.example", "", "encodes no name"},
		{"xn--0000h.example", "", "encodes no name"},
		{"a\x00b.example", "", "not allowed"},
		{"a\u202eb.example", "", "ASCII"},
		{"\xff.example", "", "UTF-8"},
		{"exa!mple.com", "", "not allowed"},
		{"a%20b.example", "", "not allowed"},
		{"api.example.com?x=1", "", "not allowed"},
		{"a" + strings.Repeat("ü", 70) + ".example", "", ""},
	} {
		name, err := authority.ParseName(c.text)
		switch {
		case c.want != "":
			if err != nil || name.String() != c.want {
				t.Errorf("%q: %q, %v", c.text, name, err)
			}
		case !postern.HasCode(err, postern.CodeHostnameInvalid) || !strings.Contains(err.Error(), c.fault):
			t.Errorf("%q: %q, %v; want %q", c.text, name, err, c.fault)
		}
	}
}

func TestClientNames(t *testing.T) {
	ca := newCA(t, authority.Root{})
	for name, want := range map[string]string{ // what is in the subjectAltName
		"alice@example.com": "alice@example.com", "laptop-7": "", "laptop.example.com": "laptop.example.com",
		"Zoë Müller (Wien)": "", "1.2.3": "", "con": "", "..": "", "-rf": "", "a b": "",
	} {
		made := client(t, ca, name)
		c := made.Record.Certificate
		if got := strings.Join(append(c.DNSNames, c.EmailAddresses...), " "); got != want || c.Subject.CommonName != name {
			t.Errorf("%q: subject %q, names %q", name, c.Subject.CommonName, got)
		}
		verifies(t, "-CAfile", ca.CertificateFile(), "-purpose", "sslclient", made.Certificate)
	}
	if records, err := ca.Records(); len(records) != 9 || err != nil { // in folders of their own
		t.Errorf("%d, %v", len(records), err)
	}
	for name, fault := range map[string]string{
		"": "empty", " ": "empty", "a/b": `'/'`, `a\b`: `'\\'`, "a=b": "'='", "a,O=b": "','", "a\nb": `'\n'`, "a\x00b": `'\x00'`, "a\u202eb": `'\u202e'`,
		strings.Repeat("x", 65): "65 characters", "\xff": "UTF-8", "a@": "no e-mail", "@b": "no e-mail", "a@b@c": "no e-mail", "ä@example.com": "no e-mail", "*.example.com": "'*'",
		"alice (work) a@b.c": "no e-mail", "“alice”": "not allowed", "a;b": "';'", "<a>": "'<'", "a|b": "'|'", "a:b": "':'", "$HOME": "'$'", "a?b": "'?'", `a"b`: "not allowed",
	} {
		if _, err := ca.Client(name, "", authority.Leaf{}, nil); !postern.HasCode(err, postern.CodeFlagInvalid) || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v, want %q", name, err, fault)
		}
	}
}

// FuzzParseName: what is accepted is a name of DNS or an address, and stays what it is.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"*.example.com", "münchen.example", "[::1]", "xn--mnchen-3ya.example", "https://a/b", "1.2.3.4", "a\u202e.b", "*.co.uk"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := authority.ParseName(text)
		if err != nil {
			if !utf8.ValidString(err.Error()) || postern.AsError(err).Code != postern.CodeHostnameInvalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := authority.ParseName(name.String())
		if err != nil || again != name {
			t.Fatalf("%q is %q, which is %q, %v", text, name, again, err)
		}
	})
}
