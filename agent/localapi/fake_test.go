package localapi_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/localapi"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/inspect"
)

// fakeAgent is an agent whose server grants whatever it is asked for, but for the hosts
// in refused.
type fakeAgent struct {
	service string // address that Open dials

	mu      sync.Mutex
	offline bool
	refused map[postern.Hostname]*postern.Error
	tunnels []localapi.Tunnel
	changed map[int]func()
	made    int
}

func newFake() *fakeAgent {
	return &fakeAgent{refused: map[postern.Hostname]*postern.Error{}, changed: map[int]func(){}}
}

func (f *fakeAgent) Start(_ context.Context, e config.Endpoint) error {
	upstream, err := session.ParseUpstream(e.Upstream, e.URL.Scheme)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch why := f.refused[e.URL.Host]; {
	case slices.ContainsFunc(f.tunnels, func(t localapi.Tunnel) bool { return t.Name == e.Name }):
		return postern.Errorf(postern.CodeConflict, "taken")
	case f.offline:
		return postern.Errorf(postern.CodeNotReady, "not yet")
	case why != nil:
		return why
	}
	f.made++
	host := cmp.Or(string(e.URL.Host), "h"+strconv.Itoa(f.made)+".example.com")
	for _, scheme := range append([]postern.Scheme{e.URL.Scheme}, e.Also...) {
		label := e.Name
		if scheme != e.URL.Scheme {
			label += " (" + string(scheme) + ")"
		}
		f.tunnels = append(f.tunnels, localapi.Tunnel{
			Name: e.Name, Label: label, ID: fmt.Sprintf("%032x", f.made), URL: string(scheme) + "://" + host, Scheme: scheme,
			Addr: upstream.String(), Config: e,
		})
	}
	f.tell()
	return nil
}

func (f *fakeAgent) Stop(_ context.Context, label string) error {
	return f.drop(func(t localapi.Tunnel) bool { return t.Label == label })
}

func (f *fakeAgent) Remove(_ context.Context, name string) error {
	return f.drop(func(t localapi.Tunnel) bool { return t.Name == name })
}

func (f *fakeAgent) drop(which func(localapi.Tunnel) bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(f.tunnels), which)
	if len(left) == len(f.tunnels) {
		return postern.Errorf(postern.CodeNotFound, "no such tunnel")
	}
	f.tunnels = left
	f.tell()
	return nil
}

func (f *fakeAgent) Tunnels() []localapi.Tunnel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tunnels)
}

func (f *fakeAgent) Status() localapi.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.offline {
		return localapi.Status{State: "connecting", Problem: "the server cannot be reached"}
	}
	return localapi.Status{State: "online", Region: "eu", Latency: 87_654_321}
}

func (f *fakeAgent) Open(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.service)
	if err != nil {
		return nil, postern.Errorf(postern.CodeUpstreamUnreachable, "the service cannot be reached").Because(err)
	}
	return conn, nil
}

func (f *fakeAgent) Watch(changed func()) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	id := f.made
	f.changed[id] = changed
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.changed, id)
	}
}

func (f *fakeAgent) tell() {
	for _, changed := range f.changed {
		changed()
	}
}

func (f *fakeAgent) setOffline(offline bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offline = offline
	f.tell()
}

// testAPI is an API with what stands behind it.
type testAPI struct {
	*localapi.API
	agent    *fakeAgent
	recorder *inspect.Recorder
	t        testing.TB
	document document
}

func newAPI(t testing.TB, change func(*localapi.Config)) *testAPI {
	t.Helper()
	agent, recorder := newFake(), inspect.NewRecorder(inspect.NewStore(0), -1)
	c := localapi.Config{Agent: agent, Recorder: recorder, Version: "3.99.0", Both: true, Address: address("127.0.0.1:4040")}
	if change != nil {
		change(&c)
	}
	api, err := localapi.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &testAPI{API: api, agent: agent, recorder: recorder, t: t}
}

func address(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }

// ask makes a request of this machine. Headers are "Name: value".
func (a *testAPI) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequest(method, "http://localhost:4040"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	a.documented(method, r.URL.EscapedPath(), w.Code)
	return w
}

// want asks and compares. The answer's body is compared as JSON where it is JSON.
func (a *testAPI) want(method, path, body string, status int, answer string) {
	a.t.Helper()
	w := a.ask(method, path, body)
	if w.Code != status || !sameBody(w.Body.String(), answer) {
		a.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, body, w.Code, w.Body, status, answer)
	}
}

func sameBody(got, want string) bool {
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return got == want
	}
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return string(one) == string(other)
}

// document is what this reads of the OpenAPI document: statuses by path and method.
type document struct {
	Paths map[string]map[string]struct {
		Responses map[string]any
	}
}

// documented holds what was answered to the OpenAPI document.
func (a *testAPI) documented(method, path string, status int) {
	a.t.Helper()
	if a.document.Paths == nil {
		// One without a guard in the way.
		open, err := localapi.New(localapi.Config{Agent: a.agent, Recorder: a.recorder})
		if err != nil {
			a.t.Fatal(err)
		}
		w := httptest.NewRecorder()
		open.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/api/openapi.json", nil))
		if err := json.NewDecoder(w.Body).Decode(&a.document); err != nil {
			a.t.Fatal(err)
		}
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path = cmp.Or(strings.TrimSuffix(path, "/"), "/")
	for template, operations := range a.document.Paths {
		prefix, _, named := strings.Cut(template, "{")
		operation, exists := operations[strings.ToLower(method)]
		if !exists || path != template && !(named && strings.HasPrefix(path, prefix)) {
			continue
		}
		if operation.Responses[strconv.Itoa(status)] == nil {
			a.t.Errorf("%s %s answers %d, which the document does not have", method, path, status)
		}
		return
	}
	if status/100 == 2 {
		a.t.Errorf("%s %s answers %d and is not documented", method, path, status)
	}
}

// captured makes an exchange and gives its id.
func (a *testAPI) captured(endpoint, target string) string {
	s := a.recorder.Stream(endpoint, netip.MustParseAddrPort("203.0.113.9:1"))
	s.FromVisitor([]byte("POST " + target + " HTTP/1.1\r\nHost: h1.example.com\r\nContent-Length: 2\r\n\r\nhi"))
	s.FromService([]byte("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nno"))
	s.End(nil)
	return a.recorder.Store().List(inspect.Filter{}, 1)[0].ID
}

func read(t *testing.T, r io.Reader, v any) {
	t.Helper()
	if err := json.NewDecoder(r).Decode(v); err != nil {
		t.Fatal(err)
	}
}
