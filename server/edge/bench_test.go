package edge_test

import (
	"io"
	"net/http"
	"testing"
)

// One small GET on a kept connection, through TLS, routing and a kept upstream
// connection; the service is in the same process.
func BenchmarkGet(b *testing.B) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		b.Run(protocol, func(b *testing.B) {
			s := start(b)
			answer := make([]byte, 1024)
			s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(answer) }))
			client := s.client(protocol)
			b.ReportAllocs()
			for b.Loop() {
				response, err := client.Get("https://app." + domain)
				must(b, err)
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		})
	}
}

// Body bytes of a download through TLS.
func BenchmarkDownload(b *testing.B) {
	s := start(b)
	const size = 16 << 20
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "16777216")
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	}))
	client := s.client("http/1.1")
	b.SetBytes(size)
	for b.Loop() {
		response, err := client.Get("https://app." + domain)
		must(b, err)
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
