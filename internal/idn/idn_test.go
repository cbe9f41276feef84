package idn_test

import (
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
)

func TestToASCII(t *testing.T) {
	for in, want := range map[string]string{
		"example.com":     "example.com",
		"*.EXAMPLE.com.":  "*.EXAMPLE.com.",
		"bücher.example":  "xn--bcher-kva.example",
		"*.Bücher.ex.com": "*.xn--bcher-kva.ex.com",
		"not a name/":     "not a name/",
		"":                "",
	} {
		if got, err := idn.ToASCII(in); got != want || err != nil {
			t.Errorf("ToASCII(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"bü cher.example", "\xff.example", "ü*.example"} {
		if got, err := idn.ToASCII(in); !postern.HasCode(err, postern.CodeHostnameInvalid) {
			t.Errorf("ToASCII(%q) = %q, %v", in, got, err)
		}
	}
}

func TestURLToASCII(t *testing.T) {
	for in, want := range map[string]string{
		"https://bücher.example:443/ü?ü": "https://xn--bcher-kva.example:443/ü?ü",
		"bücher.example:80":              "xn--bcher-kva.example:80",
		"https://":                       "https://",
		"tcp://:20000":                   "tcp://:20000",
	} {
		if got, err := idn.URLToASCII(in); got != want || err != nil {
			t.Errorf("URLToASCII(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if got, err := idn.URLToASCII("https://ü ü.example"); !postern.HasCode(err, postern.CodeHostnameInvalid) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whatever is converted is a name that stays as it is the second time.
func FuzzToASCII(f *testing.F) {
	for _, seed := range []string{"bücher.example", "*.ü.example", "K.example", "日本.example", "xn--a", "ß"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		ascii, err := idn.ToASCII(host)
		if err != nil {
			return
		}
		for i := range len(ascii) {
			if ascii[i] >= 0x80 {
				t.Fatalf("%q became %q", host, ascii)
			}
		}
		if again, err := idn.ToASCII(ascii); err != nil || again != ascii {
			t.Fatalf("%q became %q and then %q, %v", host, ascii, again, err)
		}
	})
}
