package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
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
