package chisel_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// setup is a server, an unmodified client, and the port at which visitors reach its
// target.
type setup struct {
	server, client *os.Process
	address        string
}

func newSetup(b testing.TB, role, target, protocol string) *setup {
	b.Helper()
	port, visitors := freePort(b), freePort(b)
	s := &setup{address: "127.0.0.1:" + visitors}
	own := role == "own"
	if own {
		role = "ours"
	}
	s.server = chiselProcess(b, role, port, "", "")
	_ = reach(b, "tcp", "127.0.0.1:"+port).Close()
	if own {
		s.client = chiselProcess(b, "our client", "127.0.0.1:"+port, "127.0.0.1:"+target, "R:127.0.0.1:"+visitors+":127.0.0.1:"+target)
		_ = reach(b, "tcp", s.address).Close()
		return s
	}
	s.client = chiselProcess(b, "client", "http://127.0.0.1:"+port, "", "", "R:127.0.0.1:"+visitors+":127.0.0.1:"+target+protocol)
	if protocol == "" {
		_ = reach(b, "tcp", s.address).Close()
	}
	return s
}

// cpu is what a process has used, in seconds.
func cpu(b testing.TB, p *os.Process) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// costs reports what both processes use per unit while measure runs.
func (s *setup) costs(b *testing.B, units float64, unit string, measure func()) {
	server, client := cpu(b, s.server), cpu(b, s.client)
	b.ResetTimer()
	measure()
	b.StopTimer()
	b.ReportMetric((cpu(b, s.server)-server)/units, "server-s/"+unit)
	b.ReportMetric((cpu(b, s.client)-client)/units, "client-s/"+unit)
}

// BenchmarkRealThroughput moves b.N MiB with an unmodified client: at chisel's server, at
// ours, and, for comparison, with our own client over the same wire at ours.
func BenchmarkRealThroughput(b *testing.B) {
	for _, way := range []string{"down", "up"} {
		for _, streams := range []int{1, 32} {
			for _, role := range []string{"server", "ours", "own"} {
				b.Run(fmt.Sprintf("%s/%d/%s", way, streams, role), func(b *testing.B) { throughput(b, role, way, streams) })
			}
		}
	}
}

func throughput(b *testing.B, role, way string, streams int) {
	const piece = 1 << 20
	data := bytesOf(piece)
	pour := func(conn net.Conn, pieces int) {
		for range pieces {
			if _, err := conn.Write(data); err != nil {
				return
			}
		}
	}
	each := max(1, b.N/streams)
	port := target(b, func(conn net.Conn) {
		var one [1]byte
		if _, err := io.ReadFull(conn, one[:]); err != nil {
			return
		}
		if way == "down" {
			pour(conn, each)
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		_, _ = io.CopyN(io.Discard, conn, int64(each)*piece)
		_, _ = conn.Write(one[:])
		_, _ = io.Copy(io.Discard, conn)
	})
	s := newSetup(b, role, port, "")
	b.SetBytes(piece)
	s.costs(b, float64(each*streams)/1024, "GB", func() {
		var visitors sync.WaitGroup
		for range streams {
			visitors.Go(func() {
				conn, err := net.Dial("tcp", s.address)
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				_, _ = conn.Write([]byte{1})
				if way == "down" {
					_, err = io.CopyN(io.Discard, conn, int64(each)*piece)
				} else {
					pour(conn, each)
					_, err = io.ReadFull(conn, make([]byte, 1))
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		visitors.Wait()
	})
}

// BenchmarkRealConnects opens b.N connections through an unmodified client, 32 at a time.
func BenchmarkRealConnects(b *testing.B) {
	for _, role := range []string{"server", "ours", "own"} {
		b.Run(role, func(b *testing.B) {
			s := newSetup(b, role, target(b, echoAll), "")
			var left atomic.Int64
			left.Store(int64(b.N))
			s.costs(b, float64(b.N)/1e6, "Mconn", func() {
				var visitors sync.WaitGroup
				for range 32 {
					visitors.Go(func() {
						for left.Add(-1) >= 0 {
							conn, err := net.Dial("tcp", s.address)
							if err != nil {
								b.Error(err)
								return
							}
							_, _ = conn.Write([]byte{1})
							if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
								b.Error(err)
							}
							_ = conn.Close()
						}
					})
				}
				visitors.Wait()
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conn/s")
		})
	}
}

// BenchmarkRealEcho sends a byte and waits for it to come back.
func BenchmarkRealEcho(b *testing.B) {
	for _, role := range []string{"server", "ours"} {
		b.Run(role, func(b *testing.B) {
			s := newSetup(b, role, target(b, echoAll), "")
			conn := reach(b, "tcp", s.address)
			defer conn.Close()
			exchangeByte(b, conn)
			_ = conn.SetDeadline(time.Time{})
			s.costs(b, float64(b.N)/1e6, "Mexchange", func() {
				for range b.N {
					exchangeByte(b, conn)
				}
			})
		})
	}
}
