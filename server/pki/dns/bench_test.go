package dns_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/dns"
)

// large has 100,000 reserved domains and 1,000 ingresses.
func large() dns.Content {
	c := content()
	for n := range 100_000 {
		c.Targets = append(c.Targets, dns.Target{Name: postern.Hostname(fmt.Sprintf("target%d.acct%d.dns.example.com", n, n/10))})
	}
	for n := range 1_000 {
		c.Ingresses = append(c.Ingresses, postern.Hostname(fmt.Sprintf("connect.customer%d.org", n)))
	}
	return c
}

func packed(b *testing.B, name string, kind uint16) []byte {
	b.Helper()
	query := new(miekg.Msg).SetQuestion(name, kind)
	query.SetEdns0(1232, false)
	bytes, err := query.Pack()
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// BenchmarkAnswer is what a question costs without the network: unpacked, answered, packed.
func BenchmarkAnswer(b *testing.B) {
	s := dns.New(dns.Config{Challenges: &challenges{}, PerSecond: 1 << 30})
	s.SetZones(dns.NewZones(large()))
	for what, name := range map[string]string{"target": "target77777.acct7777.dns.example.com.", "missing": "missing.acct7777.dns.example.com.",
		"ingress": "tunnel.eu.connect.customer777.org.", "elsewhere": "www.example.org."} {
		b.Run(what, func(b *testing.B) {
			question := packed(b, name, miekg.TypeA)
			w := &writer{from: fromUDP("203.0.113.9")}
			b.ReportAllocs()
			for b.Loop() {
				query := new(miekg.Msg)
				if err := query.Unpack(question); err != nil {
					b.Fatal(err)
				}
				s.ServeDNS(w, query)
				if _, err := w.got.Pack(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}

// BenchmarkOverUDP is the whole way through loopback, with many questions under way. The
// askers share the machine with the server.
func BenchmarkOverUDP(b *testing.B) {
	s := dns.New(dns.Config{})
	s.SetZones(dns.NewZones(large()))
	udp, _ := listening(b, s)
	question := packed(b, "target77777.acct7777.dns.example.com.", miekg.TypeA)
	var lost atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("udp", udp)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		answer := make([]byte, 1500)
		for pb.Next() {
			if _, err := conn.Write(question); err != nil {
				b.Error(err)
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := conn.Read(answer); err != nil {
				lost.Add(1)
			}
		}
	})
	if n := lost.Load(); n > 0 {
		b.Errorf("%d questions without an answer", n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

// BenchmarkNewZones is what a change costs: all zones are made anew.
func BenchmarkNewZones(b *testing.B) {
	c := large()
	b.ReportAllocs()
	for b.Loop() {
		dns.NewZones(c)
	}
}
