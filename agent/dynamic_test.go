package agent_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
)

// startWith is start with a configuration of the test's own.
func startWith(t *testing.T, c agent.Config) *started {
	t.Helper()
	st := &started{online: make(chan agent.Online, 64), done: make(chan error, 1)}
	c.Authtoken = goodToken
	if c.Logger == nil {
		c.Logger = testkit.Logger(t)
	}
	c.Events.Online = func(o agent.Online) { st.online <- o }
	st.run(t, c)
	return st
}

// connected waits until the agent has a session.
func (st *started) connected(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); st.Status().State != session.Online; {
		if time.Now().After(deadline) {
			t.Fatalf("no session: %+v", st.Status())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func both(name, upstream string) agent.Endpoint {
	e := agent.Endpoint{Endpoint: web(name, upstream)}
	e.Also = []postern.Scheme{postern.HTTP}
	return e
}

func TestAddAndRemove(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(echoHost))
	t.Cleanup(service.Close)
	s := newServer(t)
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots})
	a.connected(t)
	online, err := a.Add(t.Context(), both("hook", service.URL))
	if err != nil || len(online) != 2 || online[0].Label != "hook" || online[1].Label != "hook (http)" ||
		online[0].URL != "https://bind1.localhost:8443" || online[0].Upstream != service.URL {
		t.Fatalf("Add = %+v, %v", online, err)
	}
	if got := get(t, s.open(t, httpHeader("bind1"), request)); got != "HTTP/1.1 app.example.com" {
		t.Errorf("answer %q", got)
	}
	if _, err := a.Add(t.Context(), both("hook", "1")); !postern.HasCode(err, postern.CodeConflict) {
		t.Errorf("Add of a name in use = %v", err)
	}
	taken := both("taken", service.URL)
	taken.URL.Host = "taken.example.com"
	for range 2 {
		if _, err := a.Add(t.Context(), taken); !postern.HasCode(err, postern.CodeAlreadyOnline) {
			t.Errorf("Add of what is refused = %v", err)
		}
	}
	taken.URL.Host = ""
	if _, err := a.Add(t.Context(), taken); err != nil {
		t.Errorf("Add of a name that was refused, with another host = %v", err)
	}
	all := a.Endpoints()
	if len(all) != 4 || all[1].Label != "hook (http)" || all[1].Config.Upstream != service.URL || !all[1].Online || all[0].Streams.Total != 1 {
		t.Errorf("endpoints %+v", all)
	}
	if err := a.Remove(t.Context(), "hook"); err != nil || len(a.Endpoints()) != 2 {
		t.Errorf("Remove = %v, left %+v", err, a.Endpoints())
	}
	if err := a.RemoveLabel(t.Context(), "taken (http)"); err != nil || len(a.Endpoints()) != 1 {
		t.Errorf("RemoveLabel = %v, left %+v", err, a.Endpoints())
	}
	if _, err := a.Add(t.Context(), both("hook", "localhost:x")); !postern.HasCode(err, postern.CodeUpstreamAddressInvalid) {
		t.Errorf("Add with a bad address = %v", err)
	}
}

// A reload touches what differs, and nothing else.
func TestApply(t *testing.T) {
	release := make(chan struct{})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun ")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(service.Close)
	s := newServer(t)
	endpoints := func(upstreams ...string) (all []agent.Endpoint) {
		for i, upstream := range upstreams {
			if upstream != "" {
				all = append(all, agent.Endpoint{Endpoint: web(string(rune('a'+i)), upstream)})
			}
		}
		return all
	}
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots, Endpoints: endpoints(service.URL, "1", "2")})
	var mu sync.Mutex
	var removed []string
	stop := a.Listen(agent.Events{Removed: func(_, label string) { mu.Lock(); defer mu.Unlock(); removed = append(removed, label) }})
	for range 3 {
		<-a.online
	}
	if _, err := a.Add(t.Context(), both("api", service.URL)); err != nil {
		t.Fatal(err)
	}
	<-a.online
	<-a.online
	stream := s.open(t, httpHeader("bind1"), request)
	before := a.Endpoints()
	// a stays, b changes, c goes, d comes.
	if err := a.Apply(t.Context(), endpoints(service.URL, "3", "", "4")); err != nil {
		t.Fatal(err)
	}
	<-a.online
	<-a.online
	names := map[string]string{}
	for _, e := range a.Endpoints() {
		names[e.Label] = e.Address
	}
	if len(names) != 5 || names["a"] != service.URL || names["b"] != "http://localhost:3" || names["d"] != "http://localhost:4" || names["api"] != service.URL {
		t.Errorf("after the reload: %v", names)
	}
	if after := a.Endpoints(); !slices.ContainsFunc(after, func(e agent.EndpointStatus) bool { return e.ID == before[0].ID && e.Online }) {
		t.Errorf("what did not change was made anew: %+v", after)
	}
	close(release)
	if got := get(t, stream); got != "begun done" {
		t.Errorf("a request that was under way during the reload got %q", got)
	}
	mu.Lock()
	if want := []string{"b", "c"}; !slices.Equal(removed, want) {
		t.Errorf("told of %v, want %v", removed, want)
	}
	mu.Unlock()
	stop()
	if err := a.Apply(t.Context(), []agent.Endpoint{{Endpoint: web("ok", "5")}, {Endpoint: web("bad", "x:y")}}); !postern.HasCode(err, postern.CodeUpstreamAddressInvalid) || len(a.Endpoints()) != 5 {
		t.Errorf("Apply of what cannot be = %v, and there are %d", err, len(a.Endpoints()))
	}
	err := a.Apply(t.Context(), []agent.Endpoint{{Endpoint: web("api", "5")}, {Endpoint: web("beside", "6")}})
	if !postern.HasCode(err, postern.CodeConflict) || !hasEndpoint(a, "beside", "http://localhost:6") || !hasEndpoint(a, "api", service.URL) {
		t.Errorf("Apply over what was added = %v, and there are %+v", err, a.Endpoints())
	}
	if err := a.Apply(t.Context(), nil); err != nil || len(a.Endpoints()) != 2 {
		t.Errorf("Apply of nothing = %v, left %+v", err, a.Endpoints())
	}
	if mu.Lock(); len(removed) != 2 {
		t.Errorf("a listener that had stopped was told: %v", removed)
	}
	mu.Unlock()
}

// An endpoint that the server refuses in its new shape stays as it was: a mistake in a file
// takes nothing offline. The others of the file are as wanted, and so is the endpoint once
// the mistake is corrected.
func TestApplyKeepsWhatTheServerRefuses(t *testing.T) {
	s := newServer(t)
	at := func(host postern.Hostname) agent.Endpoint {
		e := agent.Endpoint{Endpoint: web("shop", "1")}
		e.URL.Host = host
		return e
	}
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots, Endpoints: []agent.Endpoint{at("one.example.com")}})
	<-a.online
	shown := func() (urls []string) {
		for _, e := range a.Endpoints() {
			if e.Online && e.Name == "shop" {
				urls = append(urls, e.URL)
			}
		}
		return urls
	}
	var partly agent.Partly
	err := a.Apply(t.Context(), []agent.Endpoint{at("taken.example.com"), {Endpoint: web("beside", "2")}})
	if !errors.As(err, &partly) || !postern.HasCode(err, postern.CodeAlreadyOnline) || !strings.Contains(err.Error(), `tunnel "shop" stays as it was: taken.example.com is online already`) {
		t.Errorf("Apply = %v", err)
	}
	for range 2 {
		<-a.online
	}
	if got := shown(); !slices.Contains(got, "https://one.example.com:8443") || !hasEndpoint(a, "beside", "http://localhost:2") {
		t.Errorf("after a mistake: %v", got)
	}
	if err := a.Apply(t.Context(), []agent.Endpoint{at("two.example.com")}); err != nil {
		t.Fatal(err)
	}
	if got := shown(); !slices.Equal(got, []string{"https://two.example.com:8443"}) {
		t.Errorf("after the correction: %v", got)
	}
}

// A certificate that was renewed in its file is a change where the server has it, the rest
// of the line is not. Where the agent ends TLS it reads its files again by itself.
func TestApplySeesWhatFilesHold(t *testing.T) {
	for _, ends := range []config.Termination{config.AtAgent, config.AtEdge} {
		t.Run(string(ends), func(t *testing.T) { applyRenewed(t, ends) })
	}
}

func applyRenewed(t *testing.T, ends config.Termination) {
	s := newServer(t)
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "crt.pem"), filepath.Join(dir, "key.pem")
	renew := func() {
		made, _ := testkit.Certificate(t, "app.test")
		writeFile(t, certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}))
		text, err := testkitKeyPEM(made)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, key, []byte(text))
	}
	renew()
	e := agent.Endpoint{Endpoint: config.Endpoint{Name: "tls", URL: postern.URLRequest{Scheme: postern.TLS}, Upstream: "5000",
		Termination: ends, Certificate: certificate, Key: key, Where: "a.yml:1:1"}}
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots, Endpoints: []agent.Endpoint{e}})
	<-a.online
	id := a.Endpoints()[0].ID
	e.Where = "a.yml:7:1"
	if err := a.Apply(t.Context(), []agent.Endpoint{e}); err != nil || a.Endpoints()[0].ID != id {
		t.Errorf("a line that moved: %v, %+v", err, a.Endpoints())
	}
	renew()
	if err := a.Apply(t.Context(), []agent.Endpoint{e}); err != nil || (a.Endpoints()[0].ID == id) != (ends == config.AtAgent) {
		t.Errorf("a certificate that was renewed: %v, %+v", err, a.Endpoints())
	}
	if ends == config.AtEdge {
		<-a.online
	}
}

func TestServesADirectory(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.txt"), []byte("from a file"))
	s := newServer(t)
	a := start(t, s, web("files", "file://"+dir))
	if online := <-a.online; online.Upstream != "file://"+dir {
		t.Errorf("online %+v", online)
	}
	if got := get(t, s.open(t, httpHeader("bind1"), "GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")); got != "from a file" {
		t.Errorf("answer %q", got)
	}
	for upstream, code := range map[string]postern.Code{"file://" + dir + "/absent": postern.CodeFileUnreadable, "file://rel": postern.CodeUpstreamAddressInvalid} {
		if _, err := a.Add(t.Context(), agent.Endpoint{Endpoint: web("x", upstream)}); !postern.HasCode(err, code) {
			t.Errorf("Add of %s = %v", upstream, err)
		}
	}
}

// The words that scripts look for.
func TestMalformedAddressIsNamed(t *testing.T) {
	_, err := agent.New(agent.Config{Server: "localhost", Authtoken: goodToken, Endpoints: []agent.Endpoint{
		{Endpoint: config.Endpoint{Name: "ssh", URL: postern.URLRequest{Scheme: postern.TCP}, Upstream: "localhost"}},
	}})
	if err == nil || !strings.HasPrefix(err.Error(), "Tunnel 'ssh' specifies an invalid or malformed address: localhost (a tcp endpoint needs the port") {
		t.Errorf("New = %v", err)
	}
}

// Of several addresses the one that works is used, and used again; the others when it
// is gone.
func TestSeveralServers(t *testing.T) {
	one, two := newServer(t), newServer(t)
	other, err := x509.ParseCertificate(two.certs.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	one.roots.AddCert(other)
	a := startWith(t, agent.Config{Servers: []string{ports.Address(t), one.addr, two.addr}, Roots: one.roots,
		Endpoints: []agent.Endpoint{{Endpoint: web("web", "1")}}})
	<-a.online
	one.kill()
	for deadline := time.Now().Add(20 * time.Second); !two.rebound(); {
		if time.Now().After(deadline) {
			t.Fatal("the agent did not go to the other address")
		}
		<-time.After(5 * time.Millisecond)
	}
	a.connected(t)
}

// A server's word about the token is not asked for at its other addresses.
func TestARefusedTokenIsRefusedEverywhere(t *testing.T) {
	one, two := newServer(t), newServer(t)
	a, err := agent.New(agent.Config{Servers: []string{one.addr, two.addr}, Roots: one.roots, Authtoken: "2id_wrong", Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("Run = %v", err)
	}
	two.mu.Lock()
	defer two.mu.Unlock()
	if len(two.conns) != 0 {
		t.Error("the other address was dialled")
	}
}

func TestEveryAddressIsNamedWhereNoneWorks(t *testing.T) {
	nobody := strconv.Itoa(ports.For(t, 1).First)
	why := make(chan *postern.Error, 16)
	a := startWith(t, agent.Config{Servers: []string{"127.0.0.1:" + nobody, "127.0.0.2:" + nobody}, Events: agent.Events{
		Status: func(s session.Status) {
			if s.Why != nil {
				why <- s.Why
			}
		}}})
	if got := <-why; got.Code != postern.CodeServerUnreachable || !strings.Contains(got.Text(), "127.0.0.1:"+nobody) || !strings.Contains(got.Text(), "127.0.0.2:"+nobody) {
		t.Errorf("why: %v", got)
	}
	a.stop(t)
}

// What a configuration says of the session reaches the server: heartbeats, and what
// it may do; what login saved vouches for it.
func TestSettingsOfTheSession(t *testing.T) {
	s := newServer(t)
	saved := filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, saved, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certs.Certificate[0]}))
	restarted := make(chan struct{})
	a := startWith(t, agent.Config{Server: s.addr, SavedCAs: saved, Heartbeat: 25 * time.Second, Tolerance: time.Minute,
		ConnectInterface: "127.0.0.3", ConnectTimeout: 15 * time.Second,
		Management: session.Management{HowToUpdate: "apt upgrade postern", Restart: func() error { close(restarted); return nil }}})
	a.connected(t)
	s.mu.Lock()
	hello, latest := s.hellos[0], s.sessions[0]
	s.mu.Unlock()
	if hello.Heartbeat != 25*time.Second || hello.Tolerance != time.Minute || hello.Unsupported[link.Restart] != "" || hello.Unsupported[link.Update] != "apt upgrade postern" {
		t.Errorf("hello %+v", hello)
	}
	if from := latest.RemoteAddr().Addr().String(); from != "127.0.0.3" {
		t.Errorf("the session came from %s", from)
	}
	err := latest.Command(t.Context(), link.Command{Action: link.Update})
	if !postern.HasCode(err, postern.CodeUpdateUnsupported) || !strings.Contains(err.Error(), "apt upgrade postern") {
		t.Errorf("update = %v", err)
	}
	if err := latest.Command(t.Context(), link.Command{Action: link.Restart}); err != nil {
		t.Errorf("restart = %v", err)
	}
	<-restarted
	if err := <-a.done; err != nil {
		t.Errorf("Run after a restart was asked for = %v", err)
	}
	a.done <- nil
}

func TestRemoteManagementIsOff(t *testing.T) {
	s := newServer(t)
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots, Management: session.Management{Off: true}})
	a.connected(t)
	s.mu.Lock()
	hello, latest := s.hellos[0], s.sessions[0]
	s.mu.Unlock()
	for action, code := range map[link.Action]postern.Code{
		link.Stop: postern.CodeStopUnsupported, link.Restart: postern.CodeRestartUnsupported, link.Update: postern.CodeUpdateUnsupported,
	} {
		err := latest.Command(t.Context(), link.Command{Action: action})
		if !postern.HasCode(err, code) || !strings.Contains(err.Error(), "remote_management") || hello.Unsupported[action] == "" {
			t.Errorf("%s = %v, and the server was told %q", action, err, hello.Unsupported[action])
		}
	}
	if a.Status().State != session.Online {
		t.Errorf("the agent is %s", a.Status().State)
	}
}

func TestForeignRegionsAreWarnedOfOnce(t *testing.T) {
	s := newServer(t)
	var log safeBuffer
	e, home := agent.Endpoint{Endpoint: web("a", "1")}, agent.Endpoint{Endpoint: web("b", "1")}
	e.Region, home.Region = "us", "TEST"
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots, Region: "us", Endpoints: []agent.Endpoint{e, home},
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	<-a.online
	<-a.online
	e.Name, e.Region = "c", "eu"
	if _, err := a.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	a.stop(t)
	text := log.String()
	if strings.Count(text, "no such region") != 2 || !strings.Contains(text, "region=us server_region=test") || !strings.Contains(text, "region=eu") {
		t.Errorf("log:\n%s", text)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func hasEndpoint(a interface{ Endpoints() []agent.EndpointStatus }, label, address string) bool {
	return slices.ContainsFunc(a.Endpoints(), func(e agent.EndpointStatus) bool { return e.Label == label && e.Address == address })
}
