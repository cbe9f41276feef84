package gate

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
)

// mostWrong bounds how many wrong values are remembered.
const mostWrong = 1024

// Credentials are those that open a gate, and what is known about values that were
// presented. Make one with NewCredentials; it may be used concurrently.
type Credentials struct {
	all    []*credential
	hashed bool     // one of them is
	key    [32]byte // of sums: what is remembered is worth nothing to others
	mark   [sha256.Size]byte

	mu    sync.Mutex
	wrong *ledger.Ledger[sum, struct{}]
	works map[sum]*work // hashes that are being made
}

// sum stands for a presented value.
type sum [sha256.Size]byte

type credential struct {
	Credential
	digest [sha256.Size]byte
	// right is the sum of the value that opens it: of a hash once it was presented.
	right  atomic.Pointer[sum]
	proven atomic.Bool // it was presented
}

// work is a value that is being compared with hashes. Others who present it wait.
type work struct {
	done  chan struct{}
	match *credential
	err   error
}

// NewCredentials has these. None at all, or too many, is CodeFieldInvalid.
func NewCredentials(all []Credential) (*Credentials, error) {
	if len(all) == 0 || len(all) > MostCredentials {
		return nil, postern.Errorf(postern.CodeFieldInvalid, "there are %d credentials, 1 to %d are needed", len(all), MostCredentials)
	}
	s := &Credentials{wrong: ledger.New[sum, struct{}](mostWrong), works: make(map[sum]*work)}
	_, _ = rand.Read(s.key[:]) // never fails, crypto/rand
	mark := sha256.New()
	for _, given := range all {
		c := &credential{Credential: given, digest: given.digest()}
		if given.Hash == "" {
			right := s.sum(pair(given.Username, given.Password.Reveal()))
			c.right.Store(&right)
		}
		s.hashed = s.hashed || given.Hash != ""
		s.all = append(s.all, c)
		mark.Write(c.digest[:])
	}
	mark.Sum(s.mark[:0])
	return s, nil
}

func (s *Credentials) sum(value []byte) (result sum) {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(value)
	mac.Sum(result[:0])
	return result
}

// find gives the credential that a value is known to be. It takes as long for any value.
func (s *Credentials) find(value sum) (match *credential) {
	for _, c := range s.all {
		if right := c.right.Load(); right != nil && subtle.ConstantTimeCompare(right[:], value[:]) == 1 {
			match = c
		}
	}
	return match
}

// knownWrong tells whether a value was found wrong lately.
func (s *Credentials) knownWrong(value sum) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.wrong.Get(value)
	return known
}

// names tells whether one of the credentials is of the user.
func (s *Credentials) names(username string) bool {
	named := 0
	for _, c := range s.all {
		named |= subtle.ConstantTimeCompare([]byte(c.Username), []byte(username))
	}
	return named == 1
}

// judge finds out whether a value that is not known is right; nil: it is wrong. It blocks
// while hashes are made. The error is CodeServerBusy.
func (s *Credentials) judge(ctx context.Context, passwords Passwords, value sum, p presented) (*credential, error) {
	if match := s.find(value); match != nil {
		return match, nil
	}
	if !s.hashed {
		s.remember(value, nil)
		return nil, nil
	}
	s.mu.Lock()
	w, under := s.works[value]
	if !under {
		w = &work{done: make(chan struct{})}
		s.works[value] = w
	}
	s.mu.Unlock()
	if !under {
		w.match, w.err = s.compare(ctx, passwords, p)
		if w.err == nil {
			s.remember(value, w.match)
		}
		s.mu.Lock()
		delete(s.works, value)
		s.mu.Unlock()
		close(w.done)
		return w.match, w.err
	}
	select {
	case <-w.done:
		return w.match, w.err
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeServerBusy, "the password could not be checked in time").Because(context.Cause(ctx))
	}
}

// compare makes hashes: one at least, so that it takes as long for names that are not
// there.
func (s *Credentials) compare(ctx context.Context, passwords Passwords, p presented) (match *credential, err error) {
	text := postern.Secret(p.pair[len(p.username)+1:])
	compared := false
	for _, c := range s.all {
		if c.Hash == "" || subtle.ConstantTimeCompare([]byte(c.Username), []byte(p.username)) != 1 {
			continue
		}
		compared = true
		right, _, err := passwords.Verify(ctx, text, c.Hash)
		if err != nil {
			return nil, err
		}
		if right {
			return c, nil
		}
	}
	if !compared {
		_, _, err = passwords.Verify(ctx, text, s.anyHash())
	}
	return nil, err
}

// anyHash is one of the hashes; s.hashed.
func (s *Credentials) anyHash() (hash postern.Secret) {
	for _, c := range s.all {
		if c.Hash != "" {
			hash = c.Hash
		}
	}
	return hash
}

// remember keeps what was found out about a value.
func (s *Credentials) remember(value sum, match *credential) {
	if match != nil {
		match.right.Store(&value)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong.Put(value, struct{}{})
}
