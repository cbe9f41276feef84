package chisel_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// anonymous is a process's memory that is its own, in bytes.
func anonymous(b testing.TB, p *os.Process) float64 {
	b.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.Pid))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); fields[0] == "RssAnon:" {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return kib * 1024
		}
	}
	b.Fatal("no RssAnon")
	return 0
}

// BenchmarkRealIdleConnections holds b.N connections through an unmodified client that
// have each carried a byte both ways.
func BenchmarkRealIdleConnections(b *testing.B) {
	for _, role := range []string{"server", "ours"} {
		b.Run(role, func(b *testing.B) {
			s := newSetup(b, role, target(b, echoAll), "")
			server, client := anonymous(b, s.server), anonymous(b, s.client)
			for range b.N {
				conn := reach(b, "tcp", s.address)
				defer conn.Close()
				exchangeByte(b, conn)
			}
			b.ReportMetric((anonymous(b, s.server)-server)/float64(b.N), "server-B/conn")
			b.ReportMetric((anonymous(b, s.client)-client)/float64(b.N), "client-B/conn")
		})
	}
}

func exchangeByte(b testing.TB, conn net.Conn) {
	b.Helper()
	if _, err := conn.Write([]byte{1}); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIdleConnectors holds b.N sessions of our client that do nothing.
func BenchmarkIdleConnectors(b *testing.B) {
	for _, role := range []string{"server", "ours"} {
		b.Run(role, func(b *testing.B) {
			port := freePort(b)
			server := chiselProcess(b, role, port, "", "")
			_ = reach(b, "tcp", "127.0.0.1:"+port).Close()
			began := anonymous(b, server)
			for range b.N {
				client, err := at("127.0.0.1:"+port).connect(b, nil, "R:127.0.0.1:"+freePort(b)+":target:80")
				if err != nil {
					b.Fatal(err)
				}
				defer func() { client.Close(nil); <-client.Done() }()
			}
			b.ReportMetric((anonymous(b, server)-began)/float64(b.N), "server-B/connector")
		})
	}
}

// BenchmarkReconnects makes b.N sessions, one after the other, and shows what they leave.
func BenchmarkReconnects(b *testing.B) {
	port := freePort(b)
	server := chiselProcess(b, "ours", port, "", "")
	_ = reach(b, "tcp", "127.0.0.1:"+port).Close()
	remote := "R:127.0.0.1:" + freePort(b) + ":target:80/udp"
	once := func() {
		client, err := at("127.0.0.1:"+port).connect(b, nil, remote)
		if err != nil {
			return // the port is the last session's for a moment more
		}
		client.Close(nil)
		<-client.Done()
	}
	for range 200 {
		once()
	}
	began, used := anonymous(b, server), cpu(b, server)
	for b.Loop() {
		once()
	}
	b.ReportMetric((anonymous(b, server)-began)/float64(b.N), "server-B/op")
	b.ReportMetric((cpu(b, server)-used)/float64(b.N)*1e6, "server-us/op")
}

// BenchmarkRealUDP sends datagrams of 200 bytes to a target that echoes, 16 sources with
// one under way each.
func BenchmarkRealUDP(b *testing.B) {
	for _, role := range []string{"server", "ours"} {
		b.Run(role, func(b *testing.B) {
			s := newSetup(b, role, udpTarget(b, "127.0.0.1:0"), "/udp")
			const sources = 16
			conns := make([]net.Conn, sources)
			for i := range conns {
				conns[i] = reach(b, "udp", s.address)
				defer conns[i].Close()
				_ = conns[i].SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				for _, err := ask(conns[i], bytesOf(200)); err != nil; _, err = ask(conns[i], bytesOf(200)) {
					_ = conns[i].SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				}
				_ = conns[i].SetDeadline(time.Now().Add(10 * time.Minute))
			}
			s.costs(b, float64(b.N)/1e6, "Mdatagram", func() {
				var all sync.WaitGroup
				for _, conn := range conns {
					all.Go(func() {
						for range b.N / sources {
							if _, err := ask(conn, bytesOf(200)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
		})
	}
}
