package http1_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern/relay/http1"
)

// A browser's request, as they are: 12 lines, 600 bytes.
var browser = []byte("GET /assets/app-4f2a1b.js?v=12 HTTP/1.1\r\nHost: app.example.com\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://app.example.com/dashboard\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\n" +
	"Sec-Fetch-Site: same-origin\r\nIf-None-Match: \"4f2a1b\"\r\n\r\n")

var service = []byte("HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: text/javascript\r\nContent-Length: 1024\r\n" +
	"Cache-Control: max-age=3600\r\nETag: \"4f2a1b\"\r\nKeep-Alive: timeout=5\r\n\r\n")

var chunked = []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 60) + "0\r\n\r\n")

func request(r *http1.Request, out []byte) []byte {
	if size := http1.End(browser, 0); r.Parse(browser[:size], limits) != nil {
		return nil
	}
	return r.Append(out[:0], http1.RequestEdit{Extra: []byte("X-Forwarded-For: 192.0.2.1\r\n")})
}

func response(r *http1.Response, out []byte) []byte {
	if size := http1.End(service, 0); r.Parse(service[:size], limits, false) != nil {
		return nil
	}
	return r.Append(out[:0], nil)
}

// Heads and bodies cost no memory once the buffers have grown.
func TestNothingIsAllocated(t *testing.T) {
	var r http1.Request
	var a http1.Response
	out := make([]byte, 0, 4096)
	for name, work := range map[string]func() bool{
		"request":  func() bool { return len(request(&r, out)) > 0 },
		"response": func() bool { return len(response(&a, out)) > 0 },
		"body": func() bool {
			c := http1.Chunks{Answer: true}
			_, _, done, _ := c.Feed(chunked)
			return done
		},
	} {
		if !work() {
			t.Fatal(name)
		}
		if n := testing.AllocsPerRun(100, func() { work() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	var r http1.Request
	out := make([]byte, 0, 4096)
	b.SetBytes(int64(len(browser)))
	b.ReportAllocs()
	for b.Loop() {
		out = request(&r, out)
	}
}

func BenchmarkResponse(b *testing.B) {
	var r http1.Response
	out := make([]byte, 0, 4096)
	b.SetBytes(int64(len(service)))
	b.ReportAllocs()
	for b.Loop() {
		out = response(&r, out)
	}
}

func BenchmarkChunks(b *testing.B) {
	b.SetBytes(int64(len(chunked)))
	for b.Loop() {
		var c http1.Chunks
		_, _, _, _ = c.Feed(chunked)
	}
}
