package agent_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/testkit"
	node "github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/servertest"
)

// whole starts a whole server and gives the way to it and a visitor who trusts it.
func whole(t *testing.T) (agent.Config, *http.Client) {
	t.Helper()
	n := servertest.Start(t, servertest.Development(t), node.Options{})
	return agent.Config{
		Server: fmt.Sprintf("connect.localhost:%d", n.HTTPSAddr().Port()), SavedCAs: n.CAFile(), Authtoken: postern.Secret(n.Keys().Authtoken),
		DrainTimeout: time.Second, Logger: testkit.Logger(t),
	}, n.Visitor()
}

// Everything that a running agent is asked for, with the server that grants it.
func TestWithAWholeServer(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join([]string{r.Host, r.Header.Get("X-Original-Host"), r.Header.Get("X-Forwarded-Host")}, " "))
	}))
	t.Cleanup(service.Close)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.txt"), []byte("from a file"))
	c, visitor := whole(t)
	looks := &recorder{}
	c.Tap = looks
	st := &started{done: make(chan error, 1)}
	st.run(t, c)
	st.connected(t)

	e := both("web", service.URL)
	e.HostHeader = config.RewriteHost
	online, err := st.Add(t.Context(), e)
	if err != nil || len(online) != 2 {
		t.Fatalf("Add = %+v, %v", online, err)
	}
	host := strings.TrimPrefix(service.URL, "http://")
	public := strings.TrimPrefix(online[0].URL, "https://")
	name, _, _ := strings.Cut(public, ":")
	if _, body := servertest.Get(t, visitor, online[0].URL); !strings.HasPrefix(body, host+" "+name) || strings.Count(body, name) != 2 {
		t.Errorf("the service saw %q", body)
	}
	if asked, answered := looks.text(); !strings.HasPrefix(asked, "GET / HTTP/1.1\r\n") || !strings.HasPrefix(answered, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the tap saw %q, %q", asked, answered)
	}

	// A reload changes where one goes to, and its URL stays: it is the name's.
	files := func(upstream string) []agent.Endpoint { return []agent.Endpoint{{Endpoint: web("files", upstream)}} }
	if err := st.Apply(t.Context(), files(service.URL)); err != nil {
		t.Fatal(err)
	}
	first := st.awaitOnline(t, "files")
	if err := st.Apply(t.Context(), files("file://"+dir)); err != nil {
		t.Fatal(err)
	}
	if second := st.awaitOnline(t, "files"); second != first {
		t.Errorf("the URL changed from %s to %s", first, second)
	}
	if response, body := servertest.Get(t, visitor, first+"/a.txt"); body != "from a file" || response.StatusCode != http.StatusOK {
		t.Errorf("the directory answers %d %q", response.StatusCode, body)
	}

	// What somebody else has online is refused, and not kept.
	taken := agent.Endpoint{Endpoint: web("other", "1")}
	taken.URL.Host = postern.Hostname(name)
	if _, err := st.Add(t.Context(), taken); !postern.HasCode(err, postern.CodeAlreadyOnline) {
		t.Errorf("Add of a name that is online = %v", err)
	}
	if err := st.Remove(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	if _, err := st.Add(t.Context(), taken); err != nil {
		t.Errorf("Add once it is free = %v", err)
	}
	if response, _ := servertest.Get(t, visitor, online[0].URL); response.StatusCode != http.StatusBadGateway || response.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_8012" {
		t.Errorf("a service that is down: %d %v", response.StatusCode, response.Header)
	}
}

// awaitOnline waits until an endpoint is online and gives its URL.
func (st *started) awaitOnline(t *testing.T, label string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		for _, e := range st.Endpoints() {
			if e.Label == label && e.Online {
				return e.URL
			}
		}
	}
	t.Fatalf("%s is not online: %+v", label, st.Endpoints())
	return ""
}
