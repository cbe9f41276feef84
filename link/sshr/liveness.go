package sshr

import (
	"context"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

const (
	// quietTime is after how much silence a client is asked whether it lives, and
	// answerTime how long it has to answer.
	quietTime  = 10 * time.Second
	answerTime = 10 * time.Second
	// keepalive is OpenSSH's request that means nothing and is always answered.
	keepalive = "keepalive@openssh.com"
)

// beats asks a client whether it lives. SSH answers one global request at a time, so
// those who ask while one is under way share the next.
type beats struct {
	conn ssh.Conn

	mu      sync.Mutex
	next    *beat // will be sent; nil for none
	sending bool
}

// beat is one request and its answer.
type beat struct {
	done chan struct{}
	took time.Duration
	err  error
}

// ask joins the next request to be sent.
func (b *beats) ask() *beat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = &beat{done: make(chan struct{})}
	}
	if !b.sending {
		b.sending = true
		go b.send()
	}
	return b.next
}

// send sends what is asked for. It ends with the connection at the latest.
func (b *beats) send() {
	for {
		b.mu.Lock()
		beat := b.next
		b.next = nil
		b.sending = beat != nil
		b.mu.Unlock()
		if beat == nil {
			return
		}
		began := time.Now()
		_, _, beat.err = b.conn.SendRequest(keepalive, true, nil)
		beat.took = time.Since(began)
		close(beat.done)
	}
}

// ping waits for an answer until ctx ends.
func (b *beats) ping(ctx context.Context) (time.Duration, error) {
	beat := b.ask()
	select {
	case <-beat.done:
		if beat.err != nil {
			return 0, postern.Errorf(postern.CodeLinkLost, "the SSH connection ended").Because(beat.err)
		}
		return beat.took, nil
	case <-ctx.Done():
		return 0, postern.Errorf(postern.CodeLinkLost, "the SSH client did not answer").Because(ctx.Err())
	}
}

// watch ends a session whose client is silent, until ctx ends.
func (s *session) watch(ctx context.Context) {
	ticker := time.NewTicker(quietTime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if s.guard.silence() < quietTime {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, answerTime)
		_, err := s.beats.ping(ask)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.Close(postern.Errorf(postern.CodeLinkLost, "the SSH client has been silent for %v", quietTime+answerTime).Because(err))
			return
		}
	}
}
