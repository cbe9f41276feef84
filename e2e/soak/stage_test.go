package soak_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/e2e/internal/program"
)

const domain = "postern.test"

// stage is all that takes part: a server, the agents, the service behind them.
//
//	steady.postern.test    an agent that stays: https, http, TCP, and a service that refuses
//	pool.postern.test      an agent that stays and one that is drained and replaced
//	mortal.postern.test    an agent that is killed and comes back
//	sdk.postern.test       ngrok's Go SDK, in this process
//	guest-N.postern.test   endpoints of the SDK's that come and go
//	nobody.postern.test    nobody
type stage struct {
	server   *program.Server
	roots    *x509.CertPool
	service  *service
	upstream string // the service's address
	tally    *tally
	watched  []*actor
	sdk      ngrok.Agent
	drained  *program.Process // the pool's second member
	mortal   *program.Process
	outage   outages // of mortal.postern.test
}

// actor is a process whose holdings are watched.
type actor struct {
	name    string
	process *program.Process
	holding func() (program.Holding, error)
	trace   *program.Trace // nil for the server
}

// raise starts everything; the test's end stops it.
func raise(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	binary, err := program.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{tally: newTally()}
	s.service = &service{payloads: newPayloads(), tally: s.tally}
	s.upstream = startHTTP(t, s.service)
	if s.server, err = program.NewServer(binary, domain, dir); err != nil {
		t.Fatal(err)
	}
	s.server.Logs = *logs
	err = s.server.Start()
	if s.server.Process != nil {
		t.Cleanup(func() { endProcess(t, s.server.Process) })
	}
	if err := errors.Join(err, s.server.Bootstrap()); err != nil {
		t.Fatal(err)
	}
	if s.roots, err = s.server.Pool(); err != nil {
		t.Fatal(err)
	}
	s.watched = append(s.watched, &actor{name: "server", process: s.server.Process, holding: s.server.Holding})
	for _, start := range []func(*testing.T) error{s.startSteady, s.startPool, s.startMortal, s.startSDK} {
		if err := start(t); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func startHTTP(t *testing.T, handler http.Handler) (address string) {
	upstream := httptest.NewServer(handler)
	t.Cleanup(upstream.Close)
	return strings.TrimPrefix(upstream.URL, "http://")
}

// endProcess shows the end of what it printed when the test has failed.
func endProcess(t *testing.T, p *program.Process) {
	p.Kill()
	if output := p.Output(); t.Failed() {
		t.Logf("---- %s printed at its end:\n%s", p.Name, output[max(0, len(output)-4000):])
	}
}

// startWatched starts an agent that stays for the whole run.
func (s *stage) startWatched(t *testing.T, name string, endpoints int, args ...string) error {
	trace := &program.Trace{}
	process, err := s.server.StartAgent(s.server.ConnectURL(), []string{program.TraceEnvironment()}, trace, args...)
	if err != nil {
		return err
	}
	t.Cleanup(func() { endProcess(t, process) })
	s.watched = append(s.watched, &actor{name: name, process: process, trace: trace,
		holding: func() (program.Holding, error) { return trace.Holding(process) }})
	_, err = process.Online(endpoints)
	return err
}

func (s *stage) startSteady(t *testing.T) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	echo := &tcpService{service: s.service, listener: listener}
	go echo.serve()
	t.Cleanup(func() { listener.Close() })
	text := fmt.Sprintf(`version: 3
endpoints:
  - {name: secure, url: "https://steady.%[1]s", upstream: {url: "%[2]s"}}
  - {name: plain, url: "http://steady.%[1]s", upstream: {url: "%[2]s"}}
  - {name: refused, url: "https://refused.%[1]s", upstream: {url: "127.0.0.1:1"}}
  - {name: port, url: "tcp://tcp.%[1]s:%[4]d", upstream: {url: "%[3]s"}}
`, domain, s.upstream, listener.Addr(), s.server.TCPFirst)
	config := filepath.Join(t.TempDir(), "steady.yml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return s.startWatched(t, "agent", 4, "start", "--all", "--config", config)
}

func (s *stage) startPool(t *testing.T) error {
	t.Cleanup(func() { s.drained.Kill() })
	return errors.Join(s.startWatched(t, "pool agent", 1, s.poolMember()...), s.replaceDrained())
}

func (s *stage) poolMember() []string {
	return []string{"http", s.upstream, "--url", "https://pool." + domain, "--pooling-enabled"}
}

// replaceDrained starts another second member of the pool and, once that is online,
// asks the old one to stop. It must leave in order, with nothing lost.
func (s *stage) replaceDrained() error {
	next, err := s.server.StartAgent(s.server.ConnectURL(), nil, nil, s.poolMember()...)
	if err != nil {
		return err
	}
	old := s.drained
	s.drained = next
	if _, err := next.Online(1); err != nil || old == nil {
		return err
	}
	old.Signal(syscall.SIGTERM)
	code, err := old.Wait(35 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("a drained agent left with %d: %s", code, old.Output())
	}
	return err
}

func (s *stage) startMortal(t *testing.T) error {
	t.Cleanup(func() { s.mortal.Kill() })
	return s.reviveMortal()
}

func (s *stage) reviveMortal() (err error) {
	s.mortal, err = s.server.StartAgent(s.server.ConnectURL(), nil, nil, "http", s.upstream, "--url", "https://mortal."+domain)
	if err != nil {
		return err
	}
	_, err = s.mortal.Online(1)
	return err
}

func (s *stage) startSDK(t *testing.T) (err error) {
	s.sdk, err = ngrok.NewAgent(ngrok.WithAgentConnectURL(s.server.ConnectURL()),
		ngrok.WithAgentConnectCAs(s.roots), ngrok.WithAuthtoken(s.server.Authtoken))
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = s.sdk.Disconnect() }) // the server may be gone
	_, err = s.listen(t.Context(), "sdk")
	return err
}

// listen takes a name online with the SDK, with the service behind it, until ctx
// ends or the listener is closed.
func (s *stage) listen(ctx context.Context, name string) (ngrok.EndpointListener, error) {
	listener, err := s.sdk.Listen(ctx, ngrok.WithURL("https://"+name+"."+domain))
	if err != nil {
		return nil, err
	}
	go http.Serve(listener, s.service) //nolint:errcheck // ends with the listener
	return listener, nil
}
