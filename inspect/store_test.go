package inspect_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/inspect"
)

func exchange(s *inspect.Stream, path string, body int) {
	s.FromVisitor(fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, body, strings.Repeat("x", body)))
	s.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
}

func TestNewestWin(t *testing.T) {
	const most = 100 << 10
	r, s := record(t, most)
	other := r.Stream("other", netip.AddrPort{})
	for i := range 200 {
		exchange(s, fmt.Sprintf("/%d", i), 1000)
		exchange(other, "/other", 10)
		if held := r.Store().Bytes(); held > most {
			t.Fatalf("%d bytes are held, the bound is %d", held, most)
		}
	}
	all := r.Store().List(inspect.Filter{Endpoint: "web"}, 0)
	if len(all) < 20 || len(all) > 60 {
		t.Fatalf("%d exchanges fit", len(all))
	}
	for i, x := range all {
		if _, target, _ := x.Request.RequestLine(); target != fmt.Sprintf("/%d", 199-i) {
			t.Fatalf("exchange %d is %s", i, target)
		}
		if got, found := r.Store().Get(x.ID); !found || got != x {
			t.Errorf("%s is not found", x.ID)
		}
	}
	if got := r.Store().List(inspect.Filter{Endpoint: "web"}, 3); len(got) != 3 || got[0] != all[0] {
		t.Errorf("a limit of 3 gives %d", len(got))
	}
	r.Store().Clear()
	if n := len(r.Store().List(inspect.Filter{}, 0)); n != 0 || r.Store().Bytes() != 0 {
		t.Errorf("after Clear: %d exchanges, %d bytes", n, r.Store().Bytes())
	}
}

// What goes on is not pushed out by what comes later, and is cut where there is no
// room for it. What it held is given back.
func TestInProgress(t *testing.T) {
	const most = 100 << 10
	r, slow := record(t, most)
	slow.FromVisitor([]byte(getRequest))
	_, s := r, r.Stream("web", netip.AddrPort{})
	for range 200 {
		exchange(s, "/", 1000)
	}
	all := r.Store().List(inspect.Filter{}, 0)
	if oldest := all[len(all)-1]; string(oldest.Request.Raw) != getRequest || oldest.Done {
		t.Fatalf("the oldest is %q", oldest.Request.Raw)
	}
	slow.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
	for range 1000 {
		slow.FromService([]byte(strings.Repeat("y", 1000)))
	}
	x, _ := r.Store().Get(all[len(all)-1].ID)
	if !x.Done || !x.Response.Cut || x.Response.Size != 1_000_000 || len(x.Response.Body()) > most/8 || r.Store().Bytes() > most {
		t.Errorf("done %v, cut %v, size %d, kept %d", x.Done, x.Response.Cut, x.Response.Size, len(x.Response.Body()))
	}

	// Many uploads at once share what there is.
	streams := make([]*inspect.Stream, 100)
	for i := range streams {
		streams[i] = r.Stream("web", netip.AddrPort{})
		streams[i].FromVisitor([]byte("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"))
	}
	for range 9 {
		for _, s := range streams {
			s.FromVisitor([]byte(strings.Repeat("z", 10_000)))
			if held := r.Store().Bytes(); held > most {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	r.Store().Clear()
	for _, s := range streams {
		s.FromService([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		s.End(nil)
	}
	if held := r.Store().Bytes(); held != 0 {
		t.Errorf("%d bytes are held for nothing", held)
	}
}

func TestOff(t *testing.T) {
	r, s := record(t, -1)
	exchange(s, "/", 10)
	if n := len(r.Store().List(inspect.Filter{}, 0)); n != 0 || !r.Store().Off() || r.Passed() != 0 {
		t.Errorf("%d exchanges are kept", n)
	}
}

func TestFollower(t *testing.T) {
	r, s := record(t, 0)
	f := r.Store().Follow()
	s.FromVisitor([]byte(getRequest))
	s.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
	s.FromService([]byte("ok"))
	for stage, done := range []bool{false, false, true} {
		<-f.Ready()
		x := f.Next()
		if x.Done != done || (x.Response == nil) != (stage == 0) {
			t.Errorf("stage %d: %+v", stage, x)
		}
	}
	for range 1000 {
		exchange(s, "/", 0)
	}
	if f.Lost() == 0 || f.Lost() != 0 {
		t.Error("what did not fit is not counted, or twice")
	}
	f.Close()
	n := 0
	for f.Next() != nil {
		n++
	}
	if exchange(s, "/", 0); n != 256 || f.Next() != nil {
		t.Errorf("%d exchanges waited; a closed follower is told more: %t", n, f.Next() != nil)
	}
}

// What is kept for people to look at gives way first when memory is short.
func TestShortOfMemory(t *testing.T) {
	r, s := record(t, 0)
	exchange(s, "/", 1000)
	s.FromVisitor([]byte(getRequest))
	r.Store().SetShort(true)
	if all := r.Store().List(inspect.Filter{}, 0); len(all) != 1 || all[0].Done || r.Store().Bytes() > 5<<10 {
		t.Errorf("%d bytes of %d exchanges are kept", r.Store().Bytes(), len(all))
	}
	s.FromService([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	exchange(s, "/", 1000)
	if r.Passed() != 1 || r.Meters("web").Requests.Numbers(time.Now()).Count != 3 {
		t.Errorf("%d were passed over", r.Passed())
	}
	r.Store().SetShort(false)
	exchange(s, "/later", 10)
	all := r.Store().List(inspect.Filter{}, 0)
	if _, target, _ := all[0].Request.RequestLine(); target != "/later" || len(all) != 2 {
		t.Errorf("%d, the newest %q", len(all), target)
	}
}

// A follower who does not read holds neither bodies nor many large heads.
func TestSlowFollowerHoldsLittle(t *testing.T) {
	r, s := record(t, 1<<20)
	slow := r.Store().Follow()
	defer slow.Close()
	s.FromVisitor([]byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50000)))
	s.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("y", 50000)))
	whole := r.Store().List(inspect.Filter{}, 1)[0]
	if told := slow.Next(); len(told.Request.Body()) != 0 || cap(told.Request.Raw) > 1<<10 || told.Request.Size != 50000 || len(whole.Request.Body()) != 50000 {
		t.Errorf("a follower holds %d bytes of a request", cap(told.Request.Raw))
	}
	for range 100 {
		s.FromVisitor([]byte("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 30000) + "\r\n\r\n"))
		s.FromService([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
	}
	held := 0
	for x := slow.Next(); x != nil; x = slow.Next() {
		held += cap(x.Request.Raw)
	}
	if held > 5<<18 || slow.Lost() == 0 {
		t.Errorf("a follower holds %d bytes of heads", held)
	}
}
