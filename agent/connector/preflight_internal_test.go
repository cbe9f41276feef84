package connector

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
)

func routeTo(t *testing.T, change func(*Gateway), text string) *route {
	t.Helper()
	g := Gateway{Address: text, Remotes: remotes(t, "R:8081:db:80"), CAs: "host", Token: "the-token"}
	if change != nil {
		change(&g)
	}
	c, err := New(Config{Gateways: []Gateway{g}, UserAgent: "connector/test", Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c.gateways[0].lines[0].route
}

// What the answer to the pre-flight makes of the address. S4-49
func TestPreflight(t *testing.T) {
	const elsewhere = "http://elsewhere.localhost:PORT/sg_2?x=1"
	for name, c := range map[string]struct {
		status   int
		location string
		want     string // what is dialled; "" is the address itself
		code     postern.Code
	}{
		"ok":              {status: 200},
		"unauthorised":    {status: 401},
		"not found":       {status: 404},
		"failed":          {status: 500},
		"away":            {status: 503},
		"moved for now":   {status: 302, location: elsewhere, want: "elsewhere.localhost:PORT/sg_2?x=1"},
		"moved":           {status: 301, location: elsewhere, want: "elsewhere.localhost:PORT/sg_2?x=1"},
		"see other":       {status: 303, location: elsewhere, want: "elsewhere.localhost:PORT/sg_2?x=1"},
		"temporary":       {status: 307, location: elsewhere, want: "elsewhere.localhost:PORT/sg_2?x=1"},
		"permanent":       {status: 308, location: elsewhere, want: "elsewhere.localhost:PORT/sg_2?x=1"},
		"relative":        {status: 302, location: "/sg_3", want: "HERE/sg_3"},
		"with a fragment": {status: 302, location: "/sg_3#x", want: "HERE/sg_3"},
		"not a redirect":  {status: 304, location: elsewhere},
		"no location":     {status: 302, code: postern.CodeIntercepted},
		"another scheme":  {status: 302, location: "ftp://elsewhere.test/", code: postern.CodeIntercepted},
		"a user":          {status: 302, location: "http://ada@elsewhere.test/", code: postern.CodeIntercepted},
		"round and round": {status: 302, location: "/loop", code: postern.CodeIntercepted},
		"not to be read":  {status: 302, location: "http://%zz/", code: postern.CodeIntercepted},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			var port string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.Method != http.MethodGet || r.Header.Get(speaksHeader) != "1" || r.UserAgent() != "connector/test" || asked == 1 && r.Header.Get("Token") != "the-token" {
					t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
				}
				if asked > 1 && c.location != "/loop" {
					return
				}
				if c.location != "" {
					w.Header().Set("Location", strings.ReplaceAll(c.location, "PORT", port))
				}
				w.WriteHeader(c.status)
			}))
			defer server.Close()
			r := routeTo(t, nil, server.URL+"/sg_1")
			here := strings.TrimPrefix(server.URL, "http://")
			_, port, _ = net.SplitHostPort(here)
			at, native, err := r.preflight(t.Context())
			if c.code != "" {
				if !postern.HasCode(err, c.code) {
					t.Errorf("%v, %v", at.url, err)
				}
				return
			}
			want := here + "/sg_1"
			if c.want != "" {
				want = strings.NewReplacer("HERE", here, "PORT", port).Replace(c.want)
			}
			if err != nil || native || strings.TrimPrefix(at.url.String(), "http://") != want {
				t.Errorf("%v, native %t, %v; want %s", at.url, native, err, want)
			}
		})
	}
}

// Who is redirected to learns the token only when the WebSocket is opened there.
func TestPreflightKeepsTheToken(t *testing.T) {
	var second http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		second = r.Header
		w.Header().Set(speaksHeader, "1")
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL+"/sg_2", http.StatusFound))
	defer first.Close()
	r := routeTo(t, func(g *Gateway) { g.Headers = http.Header{"X-Own": {"secret"}} }, first.URL+"/sg_1")
	at, native, err := r.preflight(t.Context())
	if err != nil || !native || at.gateway() != "sg_2" {
		t.Errorf("%v, native %t, %v", at.url, native, err)
	}
	if second.Get("Token") != "" || second.Get("X-Own") != "" || second.Get("User-Agent") != "connector/test" {
		t.Errorf("the other server is told %v", second)
	}
}

// A gateway that was reached over TLS is never left for one that is not.
func TestPreflightStaysSecure(t *testing.T) {
	server := httptest.NewTLSServer(http.RedirectHandler("http://elsewhere.test/sg_1", http.StatusFound))
	defer server.Close()
	r := routeTo(t, func(g *Gateway) { g.SkipVerify = true }, server.URL+"/sg_1")
	if at, _, err := r.preflight(t.Context()); !postern.HasCode(err, postern.CodeIntercepted) {
		t.Errorf("%v, %v", at.url, err)
	}
	untrusted := routeTo(t, nil, server.URL+"/sg_1")
	if _, _, err := untrusted.preflight(t.Context()); !postern.HasCode(err, postern.CodeServerUntrusted) {
		t.Errorf("a stranger's certificate: %v", err)
	}
}

// --hostname is the Host header, and the name that TLS asks for. S4-41
func TestHostname(t *testing.T) {
	for name, change := range map[string]func(*Gateway){
		"flag":   func(g *Gateway) { g.Hostname = "gateway.corp.example" },
		"header": func(g *Gateway) { g.Headers = http.Header{"Host": {"gateway.corp.example"}} },
	} {
		var host, server string
		tls := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			host, server = r.Host, r.TLS.ServerName
		}))
		r := routeTo(t, func(g *Gateway) { g.SkipVerify = true; change(g) }, tls.URL+"/sg_1")
		if _, _, err := r.preflight(t.Context()); err != nil || host != "gateway.corp.example" || server != host {
			t.Errorf("%s: Host %q, server name %q, %v", name, host, server, err)
		}
		tls.Close()
	}
}

// Nobody there: the words that everybody knows, at once.
func TestPreflightRefused(t *testing.T) {
	addr := ports.Address(t)
	_, _, err := routeTo(t, nil, "http://"+addr+"/sg_1").preflight(t.Context())
	if want := fmt.Sprintf("dial tcp %s: connect: connection refused", addr); !postern.HasCode(err, postern.CodeServerUnreachable) || postern.AsError(err).Text() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"https://org.outsystems.app/sg_1":     "wss://org.outsystems.app:443/sg_1",
		"http://10.0.0.1:8080":                "ws://10.0.0.1:8080",
		"10.0.0.1:8080/sg_1":                  "ws://10.0.0.1:8080/sg_1",
		"wss://org.outsystems.app/sg_1":       "wss://org.outsystems.app:443/sg_1",
		"HTTPS://org.outsystems.app/sg_1?a=b": "wss://org.outsystems.app:443/sg_1",
		"https://[::1]/sg_1":                  "wss://[::1]:443/sg_1",
		"ftp://x/":                            "", "": "", "https://": "", "https://ada:pw@x/sg_1": "", "https://x/sg_1#x": "", "https://x:/": "", "https://x:y/": "",
		"R:8081:db:80": "",
	} {
		at, err := parseAddress(text)
		switch {
		case want == "" && (!postern.HasCode(err, postern.CodeFlagInvalid) || strings.Contains(err.Error(), "pw")):
			t.Errorf("%q: %v, %v", text, at.url, err)
		case want != "" && (err != nil || at.shown() != want):
			t.Errorf("%q: %v, %v; want %s", text, at.url, err, want)
		}
	}
	at, _ := parseAddress("https://x/sg_1?a=b")
	if got := at.with("id", "123456789", "ports", "8081,8082").String(); got != "https://x:443/sg_1?a=b&id=123456789&ports=8081,8082" {
		t.Error(got)
	}
}

// S4-39
func TestProxies(t *testing.T) {
	for text, want := range map[string]string{
		"http://proxy.corp:3128":              "http://proxy.corp:3128",
		"proxy.corp:3128":                     "http://proxy.corp:3128",
		"http://ada:secret@proxy.corp:3128":   "http://ada:xxxxx@proxy.corp:3128",
		"socks://ada:secret@proxy.corp:1080":  "socks5://ada:xxxxx@proxy.corp:1080",
		"socks5h://proxy.corp":                "socks5h://proxy.corp",
		"https://ada:s#e/c?r@e:t%@proxy.corp": "https://ada:xxxxx@proxy.corp",
		`http://CORP\ada:secret@proxy.corp`:   "http://CORP%5Cada:xxxxx@proxy.corp",
		"ftp://ada:secret@proxy.corp":         "",
		"http://ada:secret@proxy.corp/path":   "",
		"http://":                             "",
	} {
		p, err := ParseProxy("--proxy", text)
		switch {
		case want == "" && (!postern.HasCode(err, postern.CodeConfigInvalid) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: %v, %v", text, p, err)
		case want != "" && (err != nil || p.String() != want):
			t.Errorf("%q: %v, %v; want %s", text, p, err, want)
		}
	}
}
