package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/server/pki/acme"
)

const (
	agentOrdersName = "agent-certificates" // directory in the data directory
	orderTime       = 8 * time.Minute      // bounds one attempt
	askSoon         = 3 * time.Second      // how soon an agent asks again while its order is under way
	askBudget       = 5 * time.Minute      // and where there are too many
	mostOrdersKept  = 4096                 // in memory
)

// agentOrders gets certificates from authorities for keys that agents keep. What was
// issued lies in files: there is nothing secret in a certificate, and an agent that comes
// back must not cost another one. Methods may be called concurrently.
type agentOrders struct {
	dir         string
	authorities []acme.Authority
	proofs      func(context.Context, postern.Hostname) ([]acme.Proof, error)
	admit       func(postern.AccountID) bool
	log         *slog.Logger

	life    context.Context
	end     context.CancelFunc
	working sync.WaitGroup

	mu     sync.Mutex
	orders map[string]*agentOrder // by id
}

// agentOrder is what is known of one name and key.
type agentOrder struct {
	chain    string // "": nothing was issued yet
	leaf     *x509.Certificate
	busy     bool
	attempts int       // that failed in a row
	next     time.Time // of the next attempt
}

func newAgentOrders(o *agentOrders) *agentOrders {
	o.life, o.end = context.WithCancel(context.Background())
	o.orders = make(map[string]*agentOrder)
	return o
}

// close gives up what is under way.
func (o *agentOrders) close() {
	o.end()
	o.working.Wait()
}

// latest gives the chain for a name and key, "" while there is none, and when to ask again.
// It has one got or renewed if it is time, as the account's budget allows.
func (o *agentOrders) latest(account postern.AccountID, name postern.Hostname, request *x509.CertificateRequest) (chain string, after time.Duration) {
	id := orderID(name, request)
	o.mu.Lock()
	defer o.mu.Unlock()
	order := o.orders[id]
	if order == nil {
		order = o.load(id)
		o.remember(id, order)
	}
	now := time.Now()
	if order.leaf != nil && now.Before(order.leaf.NotAfter) {
		chain = order.chain
		if left := renewAgent(order.leaf).Sub(now); left > 0 {
			return chain, left
		}
	}
	switch {
	case order.busy:
		return chain, askSoon
	case now.Before(order.next):
		return chain, order.next.Sub(now)
	case o.life.Err() != nil || !o.admit(account):
		return chain, askBudget
	}
	order.busy = true
	o.working.Go(func() { o.obtain(id, name, request) })
	return chain, askSoon
}

// remember keeps an order in memory; of too many those that wait for nothing go.
func (o *agentOrders) remember(id string, order *agentOrder) {
	if len(o.orders) >= mostOrdersKept {
		for other, known := range o.orders {
			if !known.busy && known.attempts == 0 {
				delete(o.orders, other)
			}
		}
	}
	o.orders[id] = order
}

// renewAgent is at two thirds of a certificate's life.
func renewAgent(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

func orderID(name postern.Hostname, request *x509.CertificateRequest) string {
	sum := sha256.Sum256(append([]byte(name+"\x00"), request.RawSubjectPublicKeyInfo...))
	return hex.EncodeToString(sum[:])
}

// obtain makes one attempt with one authority after the other.
func (o *agentOrders) obtain(id string, name postern.Hostname, request *x509.CertificateRequest) {
	ctx, cancel := context.WithTimeout(o.life, orderTime)
	defer cancel()
	o.mu.Lock()
	attempts := o.orders[id].attempts
	o.mu.Unlock()
	issued, err := o.ask(ctx, name, request, attempts)
	o.mu.Lock()
	order := o.orders[id]
	order.busy = false
	if err == nil {
		order.chain, order.leaf, order.attempts, order.next = string(issued.Chain), issued.Leaf, 0, time.Time{}
	} else {
		order.attempts++
		order.next = time.Now().Add(pause(order.attempts))
	}
	next := order.next
	o.mu.Unlock()
	switch {
	case err == nil:
		o.log.InfoContext(ctx, "an authority has certified an agent's key", "host", name, "directory", issued.Directory, "expires", issued.Leaf.NotAfter)
		o.keep(ctx, id, issued.Chain)
	case o.life.Err() == nil:
		o.log.WarnContext(ctx, "no authority certifies an agent's key; the server's CA does meanwhile", "host", name, "error", err, "again", next)
	}
}

// pause is how long to wait after attempts that failed: authorities count them.
func pause(attempts int) time.Duration {
	steps := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour}
	return steps[min(attempts, len(steps))-1]
}

func (o *agentOrders) ask(ctx context.Context, name postern.Hostname, request *x509.CertificateRequest, attempts int) (issued acme.Issued, err error) {
	proofs, err := o.proofs(ctx, name)
	if err != nil {
		return issued, err
	}
	for _, authority := range o.authorities {
		issued, err = authority.Obtain(ctx, acme.Request{Names: []postern.Hostname{name}, CSR: request, Proof: proofs[attempts%len(proofs)]})
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return issued, err
}

// keep writes a chain down. Without it the next start costs another certificate.
func (o *agentOrders) keep(ctx context.Context, id string, chain []byte) {
	err := os.MkdirAll(o.dir, 0o700)
	if err == nil {
		err = disk.Replace(filepath.Join(o.dir, id+".pem"), chain, 0o600)
	}
	if err != nil {
		o.log.WarnContext(ctx, "a certificate for an agent's key cannot be kept", "error", err)
	}
}

// load reads what was kept; an empty order where there is nothing good.
func (o *agentOrders) load(id string) *agentOrder {
	text, err := os.ReadFile(filepath.Join(o.dir, id+".pem"))
	if err != nil {
		return &agentOrder{}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return &agentOrder{}
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return &agentOrder{}
	}
	return &agentOrder{chain: string(text), leaf: leaf}
}
