package routebuild_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/routebuild"
)

// session is a link.Session that does nothing but last.
type session struct{ done chan struct{} }

func (s *session) Open(context.Context, link.Header, []byte) (link.Stream, error) {
	return nil, &postern.Error{Code: postern.CodeLinkLost}
}
func (s *session) RemoteAddr() netip.AddrPort                                 { return netip.AddrPort{} }
func (s *session) Transport() string                                          { return "test" }
func (s *session) Ping(context.Context) (time.Duration, error)                { return 0, nil }
func (s *session) Command(context.Context, link.Command) error                { return nil }
func (s *session) StopEndpoint(context.Context, string, *postern.Error) error { return nil }
func (s *session) Drain()                                                     {}
func (s *session) Close(*postern.Error)                                       {}
func (s *session) Done() <-chan struct{}                                      { return s.done }
func (s *session) Cause() *postern.Error                                      { return nil }
func (s *session) Streams() int                                               { return 0 }

func bind(t testing.TB, l *cluster.Local, b *routebuild.Builder, s link.Session, n int) {
	url := postern.URL{Scheme: postern.HTTPS, Host: postern.Hostname(fmt.Sprintf("n%d.example", n))}
	e := postern.Endpoint{ID: postern.EndpointID(fmt.Sprintf("ep_%d", n)), URL: url, Account: "ac_1"}
	if _, err := l.Register(cluster.Live{Endpoint: e, Session: s}); err != nil {
		t.Error(err)
	}
	if err := b.Sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// B5-32: thousands of agents that come back at once are bound in no time, and each is
// in the table when its bind returns. The bound is a hundred times what it takes.
func TestManyBindsAtOnce(t *testing.T) {
	const sessions, each = 100, 20
	l := cluster.New()
	b, current := builder(t, l, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _ = b.Run(ctx) })
	started := time.Now()
	var binds sync.WaitGroup
	var ended []chan struct{}
	for i := range sessions {
		s := &session{done: make(chan struct{})}
		ended = append(ended, s.done)
		binds.Go(func() {
			for j := range each {
				bind(t, l, b, s, i*each+j)
			}
		})
	}
	binds.Wait()
	took := time.Since(started)
	if n := current.Load().Len(); n != sessions*each {
		t.Errorf("%d routes", n)
	}
	t.Logf("%d binds took %s", sessions*each, took)
	if took > 10*time.Second {
		t.Errorf("%d binds took %s", sessions*each, took)
	}
	for _, done := range ended {
		close(done)
	}
	for changed := l.Changed(); len(l.Endpoints()) > 0; changed = l.Changed() {
		<-changed
	}
	cancel()
	all.Wait()
}

func BenchmarkBindOneByOne(b *testing.B) {
	for _, online := range []int{100, 2000, 20_000} {
		b.Run(fmt.Sprintf("beside %d", online), func(b *testing.B) {
			l := cluster.New()
			build, _ := builder(b, l, nil)
			s := &session{done: make(chan struct{})}
			for n := range online - 1 {
				url := postern.URL{Scheme: postern.HTTPS, Host: postern.Hostname(fmt.Sprintf("n%d.example", n))}
				_, _ = l.Register(cluster.Live{Endpoint: postern.Endpoint{ID: postern.EndpointID(fmt.Sprint(n)), URL: url}, Session: s})
			}
			n := online
			for b.Loop() {
				bind(b, l, build, s, n)
				n++
			}
			b.StopTimer()
			close(s.done)
			for changed := l.Changed(); len(l.Endpoints()) > 0; changed = l.Changed() {
				<-changed
			}
		})
	}
}
