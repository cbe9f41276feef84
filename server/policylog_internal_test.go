package server

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// However often visitors have a policy log, an account writes so much a second and no
// more; who has written little still may, and what was left out is told.
func TestPolicyLogIsBounded(t *testing.T) {
	p := newPolicyLog(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	record := policy.Logged{Endpoint: policy.Endpoint{Account: "ac_1"}, Metadata: map[string]string{"text": strings.Repeat("x", 1000)}}
	now := time.Unix(0, 0)
	written := 0
	for range 100_000 {
		if _, ok := p.admit(record, now); ok {
			written++
		}
	}
	if bytes := written * (policyLogRecord + record.Size()); bytes > policyLogBurst || bytes < policyLogBurst/2 {
		t.Errorf("%d bytes at once", bytes)
	}
	other := record
	other.Endpoint.Account = "ac_2"
	if _, ok := p.admit(other, now); !ok {
		t.Error("another account has no place")
	}
	later := 0
	var told int64
	for second := range 100 {
		for range 100 {
			before, ok := p.admit(record, now.Add(time.Duration(second+1)*time.Second))
			if ok {
				later++
				told += before
			}
		}
	}
	if bytes := later * (policyLogRecord + record.Size()); bytes > 101*policyLogRate {
		t.Errorf("%d bytes in 100 seconds", bytes)
	}
	if told == 0 {
		t.Error("nobody is told that records were left out")
	}
	all := 0
	for n := range 100_000 {
		record.Endpoint.Account = postern.AccountID(fmt.Sprint("ac_", n%100))
		if _, ok := p.admit(record, now.Add(time.Hour)); ok {
			all++
		}
	}
	if bytes := all * (policyLogRecord + record.Size()); bytes > policyLogBurst*policyLogAll || bytes < policyLogBurst {
		t.Errorf("%d bytes of many accounts at once", bytes)
	}
}
