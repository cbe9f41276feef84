package soak_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// outages remembers when an endpoint was away.
type outages struct {
	mu    sync.Mutex
	began time.Time // of the last one
	ended time.Time // zero while it lasts
	count int
}

func (o *outages) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.began, o.ended = time.Now(), time.Time{}
	o.count++
}

func (o *outages) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = time.Now()
}

// touched tells whether the endpoint was away at some time since a moment.
func (o *outages) touched(since time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count > 0 && (o.ended.IsZero() || !o.ended.Before(since))
}

// excuse makes a failure a foreseen one when the outage explains it: the connection
// broke, or the page says that nobody is there or that the agent was lost. Content
// that is whole and wrong has no excuse.
func (o *outages) excuse(visit func() error) error {
	began := time.Now()
	err := visit()
	if err == nil || errors.Is(err, errWrong) || !o.touched(began) {
		return err
	}
	var page *statusError
	if errors.As(err, &page) && page.status != 502 && (page.status != 404 || page.code != "ERR_NGROK_3200") {
		return err
	}
	return foreseen{err}
}

// kill ends the mortal agent without warning and brings another a second later.
func (s *stage) kill() error {
	s.outage.begin()
	defer s.outage.end()
	s.mortal.Kill()
	<-time.After(time.Second)
	return s.reviveMortal()
}

// guests are the names that come and go. There are few, because the server keeps
// certificates and counters of names that were online, up to a bound (leafCache,
// mostEndpoints) that new names would only reach in hours.
const guests = 50

// bind takes a name online, visits it, takes it offline and finds nobody there.
func (s *stage) bind(v *visitor, i int) error {
	name := fmt.Sprintf("guest-%d", i%guests)
	ctx, cancel := context.WithTimeout(context.Background(), visitTime)
	defer cancel()
	listener, err := s.listen(ctx, name)
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	err = v.get(s.address(name, bytesPath(i, 3000)), i, 3000)
	if err := errors.Join(err, listener.Close()); err != nil {
		return err
	}
	return program.Eventually(time.Second, func() error {
		return v.getPage(s.address(name, "/"), 404, "ERR_NGROK_3200")
	})
}

// reload changes the configuration and waits until the server says that it follows.
func (s *stage) reload(i int) error {
	before := lastReload(s.server.Process.Output())
	if err := s.server.Configure("limits:", fmt.Sprintf("  connections: %d", 40_000+i)); err != nil {
		return err
	}
	s.server.Process.Signal(syscall.SIGHUP)
	return program.Eventually(10*time.Second, func() error {
		if lastReload(s.server.Process.Output()) == before {
			return errors.New("the server has not reloaded its configuration")
		}
		return nil
	})
}

// lastReload is the last line, with its time, that tells of a reload.
func lastReload(output string) string {
	at := strings.LastIndex(output, "configuration reloaded")
	if at < 0 {
		return ""
	}
	start := strings.LastIndexByte(output[:at], '\n') + 1
	line, _, _ := strings.Cut(output[start:], "\n")
	return line
}
