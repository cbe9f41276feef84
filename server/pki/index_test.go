package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki"
)

// issuer signs certificates for tests.
type issuer struct {
	*certify.Made
	serial int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	return &issuer{Made: certify.New(t, "Intermediate of the authority", nil, certify.Authority)}
}

// entry is a certificate for names, with a key that is made anew if key is nil.
func (i *issuer) entry(t testing.TB, key *ecdsa.PrivateKey, names ...string) pki.Entry {
	t.Helper()
	if key == nil {
		key = certify.P256(t)
	}
	i.serial++
	made := certify.Of(t, key, "", i.Made, certify.Names(names...), certify.Valid(time.Now().Add(-time.Hour), time.Now().AddDate(0, 3, 0)), certify.For(x509.ExtKeyUsageServerAuth))
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Entry{ID: fmt.Sprint("cert_", i.serial), Chain: certify.Chain(made, i.Made), Key: func() ([]byte, error) { return encoded, nil }}
}

func set(t testing.TB, x *pki.Index, name postern.Hostname, e pki.Entry) {
	t.Helper()
	if err := x.Set(name, e); err != nil {
		t.Fatal(err)
	}
}

func TestIndex(t *testing.T) {
	ca, x := newIssuer(t), &pki.Index{}
	set(t, x, "*.customer1.org", ca.entry(t, nil, "*.customer1.org"))
	set(t, x, "shop.customer1.org", ca.entry(t, nil, "shop.customer1.org"))
	set(t, x, "customer2.org", ca.entry(t, nil, "customer2.org", "*.customer2.org", "a.b.customer2.org"))
	set(t, x, "odd.org", ca.entry(t, nil, "other.org"))
	for name, want := range map[postern.Hostname]string{
		"any.customer1.org": "*.customer1.org", "shop.customer1.org": "shop.customer1.org",
		"customer2.org": "customer2.org", "www.customer2.org": "customer2.org", "a.b.customer2.org": "customer2.org",
		"odd.org": "other.org", // whoever put it there wants it
		// Nobody sees another's, and nobody one that is not good for the name.
		"customer1.org": "", "a.any.customer1.org": "", "c.b.customer2.org": "", "www.odd.org": "", "other.org": "", "org": "", "": "", "*.customer1.org": "", "customer3.org": "",
	} {
		got, err := x.Find(name)
		switch {
		case err != nil:
			t.Errorf("%q: %v", name, err)
		case want == "" && got != nil:
			t.Errorf("%q is shown %v", name, got.Leaf.DNSNames)
		case want != "" && (got == nil || got.Leaf.DNSNames[0] != want || len(got.Certificate) != 2):
			t.Errorf("%q is shown %v, want %q", name, got, want)
		}
		if x.Covered(name) != (want != "") {
			t.Errorf("%q is covered: %v", name, x.Covered(name))
		}
	}
	before, _ := x.Find("shop.customer1.org")
	if same, _ := x.Find("shop.customer1.org"); same != before {
		t.Error("what was made is made anew")
	}
	set(t, x, "shop.customer1.org", ca.entry(t, nil, "shop.customer1.org"))
	if after, _ := x.Find("shop.customer1.org"); after.Leaf.SerialNumber.Cmp(before.Leaf.SerialNumber) == 0 {
		t.Error("a renewed certificate is not shown")
	}
	if err := x.Set("shop.customer1.org", pki.Entry{ID: "bad", Chain: "no PEM"}); err == nil {
		t.Error("what is no chain was taken")
	}
	if got, _ := x.Find("shop.customer1.org"); got == nil {
		t.Error("what was refused has replaced what was there")
	}
	x.Remove("shop.customer1.org")
	if got, _ := x.Find("shop.customer1.org"); got.Leaf.DNSNames[0] != "*.customer1.org" {
		t.Errorf("without its own it is shown %v", got.Leaf.DNSNames)
	}
	if names := x.Names(); len(names) != 3 {
		t.Errorf("it has %v", names)
	}
}

// A key that cannot be had is told, and had as soon as it can be.
func TestIndexWithoutKey(t *testing.T) {
	x, e := &pki.Index{}, newIssuer(t).entry(t, nil, "www.example.org")
	good, broken := e.Key, true
	e.Key = func() ([]byte, error) {
		if broken {
			return nil, errors.New("the seal is broken")
		}
		return good()
	}
	set(t, x, "www.example.org", e)
	if got, err := x.Find("www.example.org"); got != nil || err == nil {
		t.Errorf("%v, %v", got, err)
	}
	broken = false
	if got, err := x.Find("www.example.org"); got == nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// Many look while certificates come and go.
func TestIndexConcurrently(t *testing.T) {
	ca, x := newIssuer(t), &pki.Index{}
	var entries []pki.Entry
	for n := range 20 {
		entries = append(entries, ca.entry(t, nil, fmt.Sprintf("n%d.example.org", n)))
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for round := range 200 {
				n := (round*7 + worker) % len(entries)
				name := postern.Hostname(fmt.Sprintf("n%d.example.org", n))
				switch round % 4 {
				case 0:
					_ = x.Set(name, entries[n])
				case 1:
					x.Remove(name)
				default:
					if got, err := x.Find(name); err != nil || got != nil && got.Leaf.DNSNames[0] != string(name) {
						t.Errorf("%s is shown %v, %v", name, got, err)
					}
				}
			}
		})
	}
	all.Wait()
}

const many = 100_000

// full has a hundred thousand certificates. They share a few keys, which says nothing
// about memory: each has its own copy.
func full(b *testing.B) (*pki.Index, float64) {
	b.Helper()
	ca, x := newIssuer(b), &pki.Index{}
	var keys []*ecdsa.PrivateKey
	for range 16 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		keys = append(keys, key)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range many {
		set(b, x, postern.Hostname(fmt.Sprintf("n%d.example.org", n)), ca.entry(b, keys[n%len(keys)], fmt.Sprintf("n%d.example.org", n)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	return x, float64(after.HeapAlloc-before.HeapAlloc) / many
}

// BenchmarkIndexFind looks among 100,000 certificates: for a few that are asked for often,
// for all of them in turn (each is made anew), and for one that is not there.
func BenchmarkIndexFind(b *testing.B) {
	x, bytes := full(b)
	for _, kind := range []struct {
		name string
		pick func(n int) postern.Hostname
	}{
		{"often", func(n int) postern.Hostname { return postern.Hostname(fmt.Sprintf("n%d.example.org", n%1000)) }},
		{"each", func(n int) postern.Hostname { return postern.Hostname(fmt.Sprintf("n%d.example.org", n%many)) }},
		{"none", func(int) postern.Hostname { return "nobody.example.net" }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := x.Find(kind.pick(n)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(bytes, "bytes/certificate")
		})
	}
	runtime.KeepAlive(x)
}

// BenchmarkHandshake compares handshakes under a certificate of an Index of 100,000 with
// those of a server that has one certificate and nothing else.
func BenchmarkHandshake(b *testing.B) {
	ca := newIssuer(b)
	e := ca.entry(b, nil, "www.example.org")
	x, _ := full(b)
	set(b, x, "www.example.org", e)
	single, err := x.Find("www.example.org")
	if err != nil {
		b.Fatal(err)
	}
	roots := ca.Pool()
	for name, config := range map[string]*tls.Config{
		"alone": {Certificates: []tls.Certificate{*single}},
		"index": {GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return x.Find(postern.Hostname(hello.ServerName))
		}},
	} {
		config.MinVersion = tls.VersionTLS13
		for _, resumed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/resumed=%v", name, resumed), func(b *testing.B) {
				client := &tls.Config{RootCAs: roots, ServerName: "www.example.org", MinVersion: tls.VersionTLS13}
				if resumed {
					client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				shake(b, config, client, true)
				for b.Loop() {
					shake(b, config, client, false)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
			})
		}
	}
}

// shake does one handshake, and takes the ticket that follows it.
func shake(b *testing.B, server, client *tls.Config, first bool) {
	b.Helper()
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() {
		conn := tls.Server(far, server)
		_, err := conn.Write([]byte{1})
		ended <- err
	}()
	conn := tls.Client(near, client)
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	if resumed := client.ClientSessionCache != nil; resumed && !first && !conn.ConnectionState().DidResume {
		b.Fatal("the session was not resumed")
	}
	_, _ = near.Close(), far.Close()
}
