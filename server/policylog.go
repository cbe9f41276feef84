package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
	"github.com/postern-dev/postern/server/policy"
)

// What the action log of policies may write, in bytes: visitors decide how often it does,
// and must not fill the disk.
const (
	policyLogRate  = 16 << 10 // a second, of one account
	policyLogBurst = 1 << 20  // at once, of one account
	policyLogAll   = 4        // so many accounts may write as much at the same time
	// policyLogRecord is what a record takes besides its metadata.
	policyLogRecord = 512
	// mostLoggingAccounts is of how many accounts it is known what they have written.
	mostLoggingAccounts = 10_000
)

// policyLog writes what the action log of policies wants to be known.
type policyLog struct {
	log     *slog.Logger
	dropped prometheus.Counter

	mu       sync.Mutex
	all      logBudget
	accounts *ledger.Ledger[postern.AccountID, *logBudget]
}

// logBudget is what was written lately, in bytes. It empties by rate.
type logBudget struct {
	filled  float64
	at      time.Time
	dropped int64 // records since the last that was written
}

func newPolicyLog(log *slog.Logger, registry prometheus.Registerer) *policyLog {
	p := &policyLog{log: log, accounts: ledger.New[postern.AccountID, *logBudget](mostLoggingAccounts),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "postern_policy_logs_dropped_total", Help: "Records of the action log of traffic policies that were not written, since there were too many."})}
	registry.MustRegister(p.dropped)
	return p
}

// write is policy.World's Log.
func (p *policyLog) write(ctx context.Context, l policy.Logged) {
	before, admitted := p.admit(l, time.Now())
	if !admitted {
		p.dropped.Inc()
		return
	}
	attrs := []slog.Attr{
		slog.String("account", string(l.Endpoint.Account)), slog.String("endpoint", l.Endpoint.URL.String()), slog.String("endpoint_id", string(l.Endpoint.ID)),
		slog.String("phase", l.Phase), slog.String("rule", l.Rule), slog.String("rule_name", l.RuleName),
		slog.String("request_id", string(l.RequestID)), slog.Uint64("connection", l.Connection), slog.String("client", l.Client.String()),
		slog.Any("metadata", l.Metadata),
	}
	if before > 0 {
		attrs = append(attrs, slog.Int64("dropped", before))
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "traffic_policy.logs", attrs...)
}

// admit takes a record's place, and tells how many of the account had none before.
func (p *policyLog) admit(l policy.Logged, now time.Time) (before int64, admitted bool) {
	size := float64(policyLogRecord + l.Size())
	p.mu.Lock()
	defer p.mu.Unlock()
	own, found := p.accounts.Get(l.Endpoint.Account)
	if !found {
		own = &logBudget{at: now}
	}
	p.accounts.Put(l.Endpoint.Account, own)
	own.empty(now, policyLogRate)
	p.all.empty(now, policyLogRate*policyLogAll)
	if own.filled+size > policyLogBurst || p.all.filled+size > policyLogBurst*policyLogAll {
		own.dropped++
		return 0, false
	}
	own.filled += size
	p.all.filled += size
	before, own.dropped = own.dropped, 0
	return before, true
}

func (b *logBudget) empty(now time.Time, rate float64) {
	b.filled = max(0, b.filled-now.Sub(b.at).Seconds()*rate)
	b.at = now
}
