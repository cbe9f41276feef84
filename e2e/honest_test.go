package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// honest are visitors who behave, from an address of their own: a few kept connections
// that ask for the same small page again and again.
type honest struct {
	t      *testing.T
	client *http.Client
	url    string

	mu    sync.Mutex
	took  []time.Duration
	wrong []error

	stop    chan struct{}
	running sync.WaitGroup
}

// honestAddress is where honest visitors come from; attacks come from 127.0.0.1.
const honestAddress = "127.0.0.7"

// honestVisitor is visitor from honestAddress.
func (s *server) honestVisitor() *http.Client {
	transport := s.transport()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(honestAddress)}}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if port == "443" {
			port = fmt.Sprint(s.https)
		}
		return from.DialContext(ctx, network, "127.0.0.1:"+port)
	}
	transport.MaxIdleConnsPerHost = honestVisitors
	transport.ForceAttemptHTTP2 = false
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

const (
	honestVisitors = 4
	honestPause    = 10 * time.Millisecond
)

// startHonest has the visitors ask until end. A test that judges what they wait does
// not run beside others.
func startHonest(t *testing.T, client *http.Client, url string) *honest {
	t.Helper()
	h := &honest{t: t, client: client, url: url, stop: make(chan struct{})}
	for range honestVisitors {
		h.running.Go(h.ask)
	}
	t.Cleanup(func() { h.end() })
	return h
}

func (h *honest) ask() {
	tick := time.NewTicker(honestPause)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		began := time.Now()
		response, body, err := tryFetch(h.client, h.url)
		took := time.Since(began)
		if err == nil && (response.StatusCode != http.StatusOK || body != "quick") {
			err = fmt.Errorf("%s %q", response.Status, tail(body, 200))
		}
		h.mu.Lock()
		h.took = append(h.took, took)
		if err != nil {
			h.wrong = append(h.wrong, err)
		}
		h.mu.Unlock()
	}
}

// latency is how long answers took: half of them less than p50, and all but one in a
// hundred less than p99.
type latency struct{ p50, p99 time.Duration }

// suffers tells whether visitors notice what happens now, compared with a calm time. The
// bounds leave room for machines with two processors that also run the attack and the
// tests beside it: the burst in which hundreds of connections open is felt by a few.
func (l latency) suffers(calm latency) bool {
	return l.p50 > 10*calm.p50+20*time.Millisecond || l.p99 > 10*calm.p99+500*time.Millisecond
}

// lap ends a measurement and begins the next, and complains about answers that were
// wrong.
func (h *honest) lap(during string) latency {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.wrong) > 0 {
		h.t.Errorf("%s: %d of %d honest requests failed, the first with %v", during, len(h.wrong), len(h.took), h.wrong[0])
	}
	if len(h.took) == 0 {
		h.t.Errorf("%s: no honest request was answered", during)
		return latency{}
	}
	slices.Sort(h.took)
	l := latency{h.took[len(h.took)/2], h.took[len(h.took)*99/100]}
	h.t.Logf("%s: %d honest requests, p50 %v, p99 %v", during, len(h.took), l.p50, l.p99)
	h.took, h.wrong = h.took[:0], nil
	return l
}

// calmRequests are enough for a quantile of a hundred to mean something.
const calmRequests = 300

// calm is the first lap: what the visitors wait while nothing else happens.
func (h *honest) calm(during string) latency {
	h.t.Helper()
	eventually(h.t, 30*time.Second, func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.took) < calmRequests {
			return fmt.Errorf("%s: %d honest requests of %d", during, len(h.took), calmRequests)
		}
		return nil
	})
	return h.lap(during)
}

// troubleTries is how often visitors may suffer before it is the server's fault, and not
// that of a machine with something else to do for a moment.
const troubleTries = 3

// bears makes trouble, and complains if visitors suffer each time.
func (h *honest) bears(during string, calm latency, trouble func()) {
	h.t.Helper()
	var now latency
	for range troubleTries {
		trouble()
		if now = h.lap(during); !now.suffers(calm) {
			return
		}
	}
	h.t.Errorf("%s: honest visitors wait %v, and that each of %d times; %v before", during, now, troubleTries, calm)
}

func (h *honest) end() {
	select {
	case <-h.stop:
	default:
		close(h.stop)
	}
	h.running.Wait()
}
