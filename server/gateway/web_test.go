package gateway_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/gateway"
)

const path = "sg_12345678-9abc-def0-1234-56789abcdef0"

func withPath(r *rows, c *gateway.Config) {
	r.gateways[0].Path, r.gateways[0].Domain = path, "stage.example.org"
	c.Domain, c.HTTPS = "example.com", 8443
}

// request asks as a connector or a browser does.
func (w *world) request(method, url string, plain bool, header ...string) *http.Response {
	q := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	serve, err := w.runtime.Connect(recorder, q, netip.MustParseAddr("203.0.113.1"), plain, func() (net.Conn, error) { return nil, net.ErrClosed })
	if serve != nil || err != nil {
		w.t.Fatal(err)
	}
	return recorder.Result()
}

func TestAnswersToStrangers(t *testing.T) {
	w := newWorld(t, withPath)
	unknown := "sg_00000000-0000-0000-0000-000000000000"
	for _, test := range []struct {
		url    string
		plain  bool
		header []string
		want   int
		text   string
	}{
		{"https://gateway.example.com/" + path, false, nil, 200, "OK"},
		{"https://gateway.example.com/" + unknown, false, nil, 200, "OK"}, // strangers learn nothing
		{"https://gateway.example.com/a/b/" + path + "?id=1", false, nil, 200, "OK"},
		{"https://gateway.example.com/" + path, false, []string{"Accept", "text/html"}, 200, "address of a private gateway"},
		{"https://gateway.example.com/", false, nil, 200, "connect here"},
		{"https://gateway.example.com/sg_1", false, nil, 404, "Not found"},
		{"https://gateway.example.com/else", false, nil, 404, "Not found"},
		{"http://gateway.example.com/" + path, true, nil, 302, ""},
		{"http://gateway.example.com/" + unknown, true, nil, 302, ""},
		{"http://gateway.example.com/" + path, true, []string{"Token", "x"}, 403, "replace the token"},
		{"http://gateway.example.com/" + unknown, true, []string{"Token", "x"}, 403, "replace the token"},
	} {
		answer := w.request("GET", test.url, test.plain, test.header...)
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != test.want || !strings.Contains(string(text), test.text) || len(text) > 200 {
			t.Errorf("%s %v: %s, %q", test.url, test.header, answer.Status, text)
		}
	}
	if to := w.request("GET", "http://gateway.example.com/"+path+"?id=1", true).Header.Get("Location"); to != "https://gateway.example.com:8443/"+path {
		t.Errorf("sent to %q", to)
	}
	if answer := w.request("POST", "https://gateway.example.com/"+path, false); answer.StatusCode != 405 {
		t.Errorf("POST: %s", answer.Status)
	}
	if answer := w.request("GET", "https://gateway.example.com/"+path, false, "Postern-Connector", "1"); answer.Header.Get("Postern-Connector") != "1" {
		t.Error("our own connector does not learn who answers")
	}
	if answer := w.request("GET", "https://gateway.example.com/"+path, false); answer.Header.Get("Postern-Connector") != "" {
		t.Error("others are told who answers")
	}
}

func TestNames(t *testing.T) {
	w := newWorld(t, withPath)
	for name, want := range map[postern.Hostname]bool{"gateway.example.com": true, "stage.example.org": true, "example.com": false, "api.example.com": false, "x.stage.example.org": false} {
		if w.runtime.Named(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
	upgrade := httptest.NewRequest("GET", "http://backend/"+path+"?id=1", nil)
	if w.runtime.Wanted(upgrade) {
		t.Error("a visitor's request is taken for a connector's")
	}
	upgrade.Header.Set("Upgrade", "websocket")
	upgrade.Header.Set("Sec-Websocket-Protocol", "chisel-v3")
	if !w.runtime.Wanted(upgrade) {
		t.Error("a connector's upgrade is not known")
	}
}

// Who guesses is refused before SSH, after some failures.
func TestUpgradesOfGuessers(t *testing.T) {
	w := newWorld(t, withPath)
	for i := range byte(10) {
		wrong, _ := secret("pgw_1", i+2)
		_ = w.admit(newConnector("203.0.113.1:1000"), wrong, hello(path))
	}
	answer := w.request("GET", "https://gateway.example.com/"+path, false, "Upgrade", "websocket", "Sec-Websocket-Protocol", "chisel-v3", "Token", w.token.Reveal())
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", answer.Status)
	}
}
