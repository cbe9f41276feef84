package edge

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPagesAreGolden(t *testing.T) {
	for name, failure := range map[string]*postern.Error{
		"offline":     offline("app.example.com"),
		"unreachable": {Code: postern.CodeUpstreamUnreachable},
		"misdirected": {Code: postern.CodeMisdirected},
		"markup":      postern.Errorf(postern.CodeRequestInvalid, `<script>alert("x")</script> & more`),
	} {
		p := newPage(failure, "req_2abcdefghijklmnopqrstuvwxyz0")
		for accept, extension := range map[string]string{"text/html": "html", "application/json": "json", "text/plain": "txt"} {
			_, got := p.render([]string{accept})
			path := filepath.Join("testdata", "pages", name+"."+extension)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil || string(want) != string(got) {
				t.Errorf("%s differs (run with -update to accept): %v\n%s", path, err, got)
			}
			if strings.Contains(string(got), "<script") && extension == "html" {
				t.Errorf("%s lets markup through", path)
			}
		}
	}
}

func TestPreferredForm(t *testing.T) {
	for accept, want := range map[string]form{
		"":          asText,
		"*/*":       asText,
		"image/*":   asText,
		"text/html": asHTML,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": asHTML,
		"application/json, text/plain, */*":                               asJSON,
		"application/problem+json":                                        asJSON,
		"text/html;q=0.2, application/json;q=0.9":                         asJSON,
		"text/html;q=0":                       asText,
		"text/html;q=x, application/json;q=2": asText,
		"TEXT/HTML ; Q=0.5":                   asHTML,
	} {
		if got := preferred([]string{accept}); got != want {
			t.Errorf("%q: %d, want %d", accept, got, want)
		}
	}
}

func FuzzPreferred(f *testing.F) {
	f.Add("text/html;q=0.5,*/*")
	f.Fuzz(func(t *testing.T, accept string) {
		if got := preferred([]string{accept}); got < asText || got > asJSON {
			t.Errorf("%q: %d", accept, got)
		}
	})
}

// Whatever the name, one that folds onto a trusted one does not pass.
func FuzzMayPass(f *testing.F) {
	for _, name := range []string{"X-Forwarded-For", "X_Real.IP", "Accept", "Forwarded", "Content_Length"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		name = http.CanonicalHeaderKey(name)
		if len(name) > 0 && ours(fold(nil, name)) && mayPass(name, false) {
			t.Errorf("%q passes", name)
		}
		if hasPrefix(fold(nil, name), "postern-") && mayPass(name, true) {
			t.Errorf("%q passes from a proxy", name)
		}
	})
}

// A Host that is accepted is a name in its one form; nothing makes two routes of it.
func FuzzRequestHost(f *testing.F) {
	for _, host := range []string{"app.example.com", "APP.example.com.:443", "[::1]:80", "a@b", "*.x", "x:99999", ""} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, err := requestHost(host)
		if err != nil {
			return
		}
		again, err := requestHost(string(name))
		if err != nil || again != name || name.Wildcard() {
			t.Errorf("%q became %q, then %q (%v)", host, name, again, err)
		}
	})
}

func TestUpgradeOf(t *testing.T) {
	for _, c := range []struct{ connection, upgrade, want string }{
		{"Upgrade", "websocket", "websocket"},
		{"keep-alive, upgrade", "WebSocket", "WebSocket"},
		{"", "websocket", ""},
		{"Upgrade", "h2c", ""},
		{"Upgrade", "H2C, websocket", "websocket"},
		{"Upgrade", "web\x7fsocket", ""},
		{"Upgrade", "", ""},
	} {
		h := http.Header{"Connection": {c.connection}, "Upgrade": {c.upgrade}}
		if got := upgradeOf(h); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
