package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern/internal/testkit/nameserver"
)

// B5-4: resolvers notice nothing of upgrades: every question over UDP, which nobody sends
// again, and over connections of TCP that are opened meanwhile, is answered.
func TestUpgradesLoseNoDNSQuestion(t *testing.T) {
	const times, every = 3, 5 * time.Millisecond
	at := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	s := startServer(t, "  dns: "+at, "regions: [{name: local, addresses: [203.0.113.7]}]", "dns: {answers_per_second: 0}")
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for _, network := range []string{"udp", "tcp"} {
		asking.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				query := new(miekg.Msg)
				query.SetQuestion("dns."+domain+".", miekg.TypeSOA)
				client := miekg.Client{Net: network, Timeout: 30 * time.Second}
				if answer, _, err := client.Exchange(query, at); err != nil || answer.Rcode != miekg.RcodeSuccess || !answer.Authoritative {
					t.Errorf("question %d over %s: %v, %v", n, network, answer, err)
				}
				<-tick.C
			}
		})
	}
	for range times {
		old := s.upgrade()
		if status := old.wait(60 * time.Second); status != 0 {
			t.Errorf("the old process ended with %d", status)
		}
	}
	stop()
	asking.Wait()
}

// S1-13, S1-19, S1-20: the records of the guide, from missing to right, as "postern dns
// check" tells of them. Resolvers are a stand-in that has the vendor's zone and asks the server
// itself for what is delegated to it.
func TestDNSCheck(t *testing.T) {
	const own = "postern.localhost"
	at := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	var mu sync.Mutex
	zone := nameserver.Parse(t, "acme.org. SOA ns.acme.org. x.acme.org. 1 2 3 4 5")
	publish := func(records string) {
		mu.Lock()
		defer mu.Unlock()
		zone = nameserver.Parse(t, "acme.org. SOA ns.acme.org. x.acme.org. 1 2 3 4 5\nacme.org. NS ns.acme.org.\n"+records)
	}
	resolver := nameserver.Serve(t, func(query *miekg.Msg) *miekg.Msg {
		mu.Lock()
		answer := zone.Answer(query)
		mu.Unlock()
		if q := query.Question[0]; len(answer.Answer) == 0 && !answer.Authoritative && q.Qtype != miekg.TypeNS { // delegated, or not the vendor's
			if further, err := miekg.Exchange(query, at); err == nil {
				return further
			}
		}
		return answer
	})
	s := newServerOf(t, own, "  dns: "+at, "regions: [{name: eu, addresses: [203.0.113.7]}]", fmt.Sprintf("dns: {resolvers: ['%s']}", resolver))
	s.start()
	s.bootstrap()
	run := func(status int, args ...string) string {
		t.Helper()
		p := startProcess(t, "postern", []string{"POSTERN_API_KEY=" + s.APIKey, "POSTERN_API_URL=" + fmt.Sprintf("https://api.%s:%d", own, s.https), "POSTERN_CONNECT_CAS=" + s.caFile},
			append([]string{posternBinary}, args...)...)
		if got := p.wait(60 * time.Second); got != status {
			t.Fatalf("postern %s: status %d\n%s", strings.Join(args, " "), got, p.output())
		}
		return p.output()
	}
	field := func(text, name string) string {
		_, rest, _ := strings.Cut(text, `"`+name+`": "`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	made := run(0, "api", "reserved-domains", "create", "--domain", "*.customer1.acme.org")
	run(0, "api", "agent-ingresses", "create", "--domain", "connect.acme.org")
	says := func(status int, name string, wanted ...string) {
		t.Helper()
		text := run(status, "dns", "check", name)
		if missing := slices.IndexFunc(wanted, func(w string) bool { return !strings.Contains(text, w) }); missing >= 0 {
			t.Errorf("%s: %q is not in\n%s", name, wanted[missing], text)
		}
	}
	publish("")
	says(1, "*.customer1.acme.org", "ERR_NGROK_425", "ERR_NGROK_442", field(made, "cname_target"))
	says(1, "connect.acme.org", "ERR_NGROK_6702", "ns4."+own)
	publish(fmt.Sprintf("*.customer1.acme.org. CNAME %s.\nconnect.acme.org. NS ns1.%s.", field(made, "cname_target"), own))
	says(1, "app.customer1.acme.org", "ok       CNAME *.customer1.acme.org", "ERR_NGROK_444")
	says(0, "connect.acme.org", "connect.acme.org (agent ingress): warning", "ERR_NGROK_1929", "ok       A     tunnel.eu.connect.acme.org")
	records := fmt.Sprintf("*.customer1.acme.org. CNAME %s.\n_acme-challenge.customer1.acme.org. CNAME %s.\n", field(made, "cname_target"), field(made, "acme_challenge_cname_target"))
	for n := range 4 {
		records += fmt.Sprintf("connect.acme.org. NS ns%d.%s.\n", n+1, own)
	}
	publish(records)
	says(0, "*.Customer1.acme.org.", "(reserved domain): ok")
	says(0, "connect.acme.org", "(agent ingress): ok")
	if text := run(0, "dns", "check", "--json"); strings.Count(text, `"status": "ok"`) != 7 {
		t.Errorf("as JSON:\n%s", text)
	}
}
