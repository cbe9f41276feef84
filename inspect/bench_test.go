package inspect_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern/inspect"
)

// typical is a request and its answer as browsers and services send them.
const (
	typicalRequest = "POST /api/v1/things?page=2 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nContent-Type: application/json\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n" +
		"X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example.com\r\nContent-Length: 16\r\n\r\n{\"name\":\"value\"}"
	typicalAnswer = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 03:00:00 GMT\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: "
)

// BenchmarkTap is what looking costs for each request that is relayed.
func BenchmarkTap(b *testing.B) {
	body := strings.Repeat("x", 1000)
	answer := []byte(typicalAnswer + "1000\r\n\r\n" + body)
	for name, perSecond := range map[string]int{"kept": -1, "counted": 1} {
		b.Run(name, func(b *testing.B) {
			r := inspect.NewRecorder(inspect.NewStore(0), perSecond)
			s := r.Stream("web", netip.AddrPort{})
			request := []byte(typicalRequest)
			b.ReportAllocs()
			for b.Loop() {
				s.FromVisitor(request)
				s.FromService(answer)
			}
		})
	}
	b.Run("bulk", func(b *testing.B) { // 64 KiB of a body too long to be kept
		r := inspect.NewRecorder(inspect.NewStore(1<<20), -1)
		s := r.Stream("web", netip.AddrPort{})
		s.FromVisitor([]byte(getRequest))
		s.FromService([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n"))
		piece := make([]byte, 64<<10)
		b.SetBytes(int64(len(piece)))
		b.ReportAllocs()
		for b.Loop() {
			s.FromService(piece)
		}
	})
}

// A request that is only counted leaves nothing behind.
func TestCountingAllocatesNothing(t *testing.T) {
	r := inspect.NewRecorder(inspect.NewStore(-1), 0)
	s := r.Stream("web", netip.AddrPort{})
	request, answer := []byte(typicalRequest), []byte(typicalAnswer+"2\r\n\r\nok")
	for range 10 {
		s.FromVisitor(request)
		s.FromService(answer)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s.FromVisitor(request)
		s.FromService(answer)
	}); n != 0 {
		t.Errorf("%v allocations for a request that is only counted", n)
	}
}
