package mux_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.ngrok.com/muxado/v2"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// rival is one multiplexer under measurement: open and accept streams.
type rival struct {
	name   string
	listen func(conn net.Conn) (accept func() (net.Conn, error), end func())
	dial   func(conn net.Conn) (open func() (net.Conn, error), end func())
}

var rivals = []rival{{
	name: "postern",
	listen: func(conn net.Conn) (func() (net.Conn, error), func()) {
		s := mux.New(conn, mux.Config{})
		return func() (net.Conn, error) {
			_, st, err := s.Accept(context.Background())
			return st, err
		}, func() { s.Close(nil) }
	},
	dial: func(conn net.Conn) (func() (net.Conn, error), func()) {
		s := mux.New(conn, mux.Config{Client: true})
		return func() (net.Conn, error) { return s.Open(context.Background(), 3) }, func() { s.Close(nil) }
	},
}, {
	name: "muxado",
	listen: func(conn net.Conn) (func() (net.Conn, error), func()) {
		s := muxado.NewTypedStreamSession(muxado.Server(conn, nil))
		return func() (net.Conn, error) { return s.AcceptTypedStream() }, func() { s.Close() }
	},
	dial: func(conn net.Conn) (func() (net.Conn, error), func()) {
		s := muxado.NewTypedStreamSession(muxado.Client(conn, nil))
		return func() (net.Conn, error) { return s.OpenTypedStream(3) }, func() { s.Close() }
	},
}}

// connect gives both ends of a loopback connection, over TLS 1.3 if asked.
func connect(b *testing.B, secure bool) (client, server net.Conn) {
	client, server = loopback(b)
	if !secure {
		return client, server
	}
	certificate, roots := testkit.Certificate(b, testkit.TLSName)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: testkit.TLSName, DynamicRecordSizingDisabled: true}
	return tls.Client(client, config), tls.Server(server, config)
}

func BenchmarkStream(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, streams := range []int{1, 64} {
			for _, size := range []int{4 << 10, 32 << 10} {
				for _, r := range rivals {
					wire := map[bool]string{false: "tcp", true: "tls"}[secure]
					b.Run(fmt.Sprintf("%s/%d/%dK/%s", wire, streams, size>>10, r.name), func(b *testing.B) {
						benchmarkBulk(b, r, secure, streams, size)
					})
				}
			}
		}
	}
}

func benchmarkBulk(b *testing.B, r rival, secure bool, streams, size int) {
	client, server := connect(b, secure)
	accept, endServer := r.listen(server)
	open, endClient := r.dial(client)
	defer endClient()
	defer endServer()
	var wg sync.WaitGroup
	wg.Go(func() {
		for range streams {
			st, err := accept()
			if err != nil {
				b.Error(err)
				return
			}
			wg.Go(func() {
				buffer := make([]byte, 32<<10)
				for {
					if _, err := st.Read(buffer); err != nil {
						if err != io.EOF {
							b.Error(err)
						}
						st.Close()
						return
					}
				}
			})
		}
	})
	conns := make([]net.Conn, streams)
	for i := range conns {
		var err error
		if conns[i], err = open(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	runtime.GC()
	b.ResetTimer()
	used := cpu()
	var senders sync.WaitGroup
	for i, st := range conns {
		senders.Go(func() {
			data := make([]byte, size)
			for n := i; n < b.N; n += streams {
				if _, err := st.Write(data); err != nil {
					b.Error(err)
					return
				}
			}
			st.Close()
		})
	}
	senders.Wait()
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpu()-used)/float64(time.Second)/(float64(b.N)*float64(size)/(1<<30)), "cpu-s/GiB")
}

func BenchmarkOpenEcho(b *testing.B) {
	for _, parallel := range []int{1, 64} {
		for _, r := range rivals {
			b.Run(fmt.Sprintf("%d/%s", parallel, r.name), func(b *testing.B) { benchmarkOpenEcho(b, r, parallel) })
		}
	}
}

func benchmarkOpenEcho(b *testing.B, r rival, parallel int) {
	client, server := connect(b, false)
	accept, endServer := r.listen(server)
	open, endClient := r.dial(client)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			st, err := accept()
			if err != nil {
				return
			}
			go func() {
				var one [1]byte
				if _, err := st.Read(one[:]); err == nil {
					_, _ = st.Write(one[:])
				}
				st.Close()
			}()
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	var wg sync.WaitGroup
	for i := range parallel {
		wg.Go(func() {
			var one [1]byte
			for n := i; n < b.N; n += parallel {
				st, err := open()
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := st.Write(one[:]); err != nil {
					b.Error(err)
				}
				if _, err := io.ReadFull(st, one[:]); err != nil {
					b.Error(err)
				}
				st.Close()
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpu()-used)/float64(b.N)/1e3, "cpu-µs/op")
	endClient()
	endServer()
	<-done
}

// BenchmarkPingPong is the smallest exchange on a stream that stays open.
func BenchmarkPingPong(b *testing.B) {
	for _, parallel := range []int{1, 64} {
		for _, r := range rivals {
			b.Run(fmt.Sprintf("%d/%s", parallel, r.name), func(b *testing.B) { benchmarkPingPong(b, r, parallel) })
		}
	}
}

func benchmarkPingPong(b *testing.B, r rival, parallel int) {
	client, server := connect(b, true)
	accept, endServer := r.listen(server)
	open, endClient := r.dial(client)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range parallel {
			st, err := accept()
			if err != nil {
				b.Error(err)
				return
			}
			wg.Go(func() {
				buffer := make([]byte, 512)
				for {
					n, err := st.Read(buffer)
					if err != nil {
						st.Close()
						return
					}
					_, _ = st.Write(buffer[:n])
				}
			})
		}
	})
	b.ReportAllocs()
	conns := make([]net.Conn, parallel)
	for i := range conns {
		conns[i], _ = open()
	}
	b.ResetTimer()
	used := cpu()
	for i, st := range conns {
		wg.Go(func() {
			message := make([]byte, 512)
			for n := i; n < b.N; n += parallel {
				if _, err := st.Write(message); err != nil {
					b.Error(err)
				}
				if _, err := io.ReadFull(st, message); err != nil {
					b.Error(err)
				}
			}
			st.Close()
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpu()-used)/float64(b.N)/1e3, "cpu-µs/op")
	endClient()
	endServer()
}
