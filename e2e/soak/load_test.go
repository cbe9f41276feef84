package soak_test

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// load drives all visitors until stop is closed; wait returns when the last visit
// has ended.
type load struct {
	*stage
	rate float64 // short visits a second, all kinds together
	life time.Duration
	stop chan struct{}
	all  sync.WaitGroup

	kept1, kept2, new1, new2 *visitor
}

// mostAtOnce bounds the visits of one kind that are under way; a visit whose time
// has come while so many wait is held back and counted.
const mostAtOnce = 64

func newLoad(s *stage, rate float64, life time.Duration) *load {
	return &load{stage: s, rate: rate, life: life, stop: make(chan struct{}),
		kept1: s.newVisitor(false, true), kept2: s.newVisitor(true, true),
		new1: s.newVisitor(false, false), new2: s.newVisitor(true, false)}
}

// visit is one kind of short visit; i counts its visits.
type visit struct {
	kind  string
	share float64 // of the rate, in percent
	make  func(i int) error
}

// size of a transfer: mostly small, now and then MiBs.
func size(i int) int { return []int{100, 64 << 10, 5000, 300 << 10, 17, 2 << 20, 20_000, 1}[i%8] }

func (l *load) visits() []visit {
	get := func(v *visitor, name string) func(int) error {
		return func(i int) error { return v.get(l.address(name, bytesPath(i, 2000+i%5000)), i, 2000+i%5000) }
	}
	return []visit{
		{"keep-alive, pool", 22, get(l.kept1, "pool")},
		{"h2, steady", 20, get(l.kept2, "steady")},
		{"keep-alive, SDK", 8, get(l.kept1, "sdk")},
		{"h2, pool", 4, get(l.kept2, "pool")},
		{"plain http", 4, func(i int) error { return l.kept1.get(l.plainAddress("steady", bytesPath(i, 500)), i, 500) }},
		{"new TLS connection", 8, get(l.new1, "pool")},
		{"new TLS with h2", 2, get(l.new2, "sdk")},
		{"upload", 4, func(i int) error { return l.kept1.upload(l.address("pool", uploadPath(i, size(i))), i, size(i), false) }},
		{"upload, chunked", 3, func(i int) error {
			return l.kept1.upload(l.address("steady", uploadPath(i, size(i))), i, size(i), true)
		}},
		{"upload, h2", 3, func(i int) error {
			return l.kept2.upload(l.address("sdk", uploadPath(i, size(i))), i, size(i), i%2 == 0)
		}},
		{"download", 4, func(i int) error { return l.kept1.get(l.address("steady", bytesPath(i, size(i))), i, size(i)) }},
		{"download, chunked", 3, func(i int) error { return l.kept2.get(l.address("pool", chunksPath(i, size(i))), i, size(i)) }},
		{"nobody there", 3, func(int) error {
			return l.kept1.getPage(l.address("nobody", "/"), http.StatusNotFound, "ERR_NGROK_3200")
		}},
		{"service refuses", 2, func(int) error {
			return l.kept2.getPage(l.address("refused", "/"), http.StatusBadGateway, "ERR_NGROK_8012")
		}},
		{"mortal agent", 4, func(i int) error { return l.outage.excuse(func() error { return get(l.kept1, "mortal")(i) }) }},
		{"TCP, half-closed", 3, func(i int) error { return l.halfClose(size(i)) }},
		{"TCP, reset", 1, func(i int) error { return l.resetPort(size(i)) }},
		{"aborted download", 1, func(i int) error {
			v := []*visitor{l.kept1, l.kept2}[i%2]
			return v.abortDownload(l.address("steady", "/endless?seed=5"), 5, 300_000)
		}},
		{"aborted upload", 1, func(i int) error {
			v := []*visitor{l.kept1, l.kept2}[i%2]
			return v.abortUpload(l.address([]string{"pool", "sdk", "steady"}[i%3], uploadPath(i, 400_000)), i, 400_000)
		}},
	}
}

// streams are visits that last; as many as told go on at any time.
func (l *load) streams() []crowd {
	socket := func(v *visitor, name string) func(int) error {
		return func(int) error { return v.converse(l.address(name, "/socket"), l.life, l.stop) }
	}
	events := func(v *visitor, name string) func(int) error {
		return func(i int) error {
			n := 15 + i*7%25
			return v.listenTo(l.address(name, fmt.Sprintf("/events?n=%d", n)), n)
		}
	}
	return []crowd{
		{"events", 12, events(l.new1, "pool")},
		{"events, h2", 6, events(l.kept2, "steady")},
		{"events, SDK", 4, events(l.kept1, "sdk")},
		{"WebSocket", 16, socket(l.new1, "steady")},
		{"WebSocket, SDK", 4, socket(l.new1, "sdk")},
		{"WebSocket, mortal", 2, func(i int) error { return l.outage.excuse(func() error { return socket(l.new1, "mortal")(i) }) }},
		{"slow reader", 6, func(i int) error {
			return l.new1.getSlowly(l.address("steady", bytesPath(i, 3<<20)), i, 3<<20, 100*time.Millisecond)
		}},
		{"slow reader, h2", 2, func(i int) error {
			return l.new2.getSlowly(l.address("pool", chunksPath(i, 2<<20)), i, 2<<20, 150*time.Millisecond)
		}},
	}
}

type crowd struct {
	kind string
	n    int
	make func(i int) error
}

// churn is what happens to the stage itself, one after the other of each kind.
func (l *load) churn() []event {
	return []event{
		{"agent killed", 20 * time.Second, func(int) error { return l.kill() }},
		{"agent drained", 15 * time.Second, func(int) error { return l.replaceDrained() }},
		{"bind and unbind", 2 * time.Second, func(i int) error { return l.bind(l.kept1, i) }},
		{"reload", 20 * time.Second, l.reload},
	}
}

type event struct {
	kind  string
	every time.Duration
	make  func(i int) error
}

// start begins all kinds of visits, each at its own even pace.
func (l *load) start() {
	for _, v := range l.visits() {
		l.all.Go(func() { l.pace(v) })
	}
	for _, c := range l.streams() {
		for first := range c.n {
			l.all.Go(func() { l.repeat(c, first) })
		}
	}
	for _, e := range l.churn() {
		l.all.Go(func() { l.happen(e) })
	}
}

// end stops the load and returns when the last visit has ended; no connection of a
// visitor is left.
func (l *load) end() {
	close(l.stop)
	l.all.Wait()
	for _, v := range []*visitor{l.kept1, l.kept2, l.new1, l.new2} {
		v.client.CloseIdleConnections()
	}
}

func (l *load) pace(v visit) {
	tick := time.NewTicker(time.Duration(float64(time.Second) * 100 / (l.rate * v.share)))
	defer tick.Stop()
	places := make(chan struct{}, mostAtOnce)
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		select {
		case places <- struct{}{}:
			l.all.Go(func() {
				l.tally.run(v.kind, func() error { return v.make(i) })
				<-places
			})
		default:
			l.tally.add(v.kind, count{held: 1})
		}
	}
}

func (l *load) repeat(c crowd, first int) {
	tick := time.NewTicker(eventInterval) // nobody comes back at once after a failure
	defer tick.Stop()
	for i := first; ; i += c.n {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		if l.stopped() { // during the last visit, so that both have been ready
			return
		}
		l.tally.run(c.kind, func() error { return c.make(i) })
	}
}

func (l *load) happen(e event) {
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		if l.stopped() {
			return
		}
		l.tally.run(e.kind, func() error { return e.make(i) })
	}
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}
