package chisel

import (
	"bytes"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
)

// resetRequest is the channel request by which one Postern tells another that the end
// of a stream is abnormal. Its payload is a code, a line break and a text.
const resetRequest = "reset@postern.dev"

// read hands on what comes until the channel ends, and gives SSH's word for it.
func (s *stream) read() error {
	for {
		n, err := s.channel.Read(s.small[:])
		s.takeRequests()
		if n == len(s.small) && err == nil {
			err = s.readBurst()
		} else if n > 0 {
			s.offer(s.small[:n], nil)
		}
		if err != nil {
			return err
		}
	}
}

// readBurst takes what has come behind a full small buffer, nearly always the rest of a
// packet. Should nothing be there, the beginning is offered alone after a moment.
func (s *stream) readBurst() error {
	large := slabs.Get().(*slab)
	defer slabs.Put(large)
	n := copy(large[:], s.small[:])
	s.mu.Lock()
	s.burstHead = large[:n]
	if s.burst == nil {
		s.burst = time.AfterFunc(burstPause, s.offerHead)
	} else {
		s.burst.Reset(burstPause)
	}
	s.mu.Unlock()
	more, err := s.channel.Read(large[n:])
	s.offer(large[:n+more], large[:n])
	return err
}

// offerHead gives Read the beginning of a burst whose rest is late.
func (s *stream) offerHead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.burstHead == nil || s.closed || s.why != nil {
		return
	}
	s.unread, s.burstHead = s.burstHead, nil
	s.came()
	s.turn.Broadcast() // a Pour, too: the stream's own goroutine waits
}

// offer gives Read or Pour b, of which head may have been offered before, and waits until
// it was taken.
func (s *stream) offer(b, head []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.pouring { // head
		s.turn.Wait()
	}
	if head != nil {
		s.burst.Stop()
		if s.burstHead == nil { // it was offered: what is left of it is unread
			b = b[len(head)-len(s.unread):]
		}
		s.burstHead = nil
	}
	if s.closed || s.why != nil {
		return
	}
	s.unread = b
	s.came()
	if s.pour != nil && !s.readBy.passed {
		s.pourOn()
		return
	}
	s.turn.Broadcast()
	for s.pouring || len(s.unread) > 0 && !s.orphan {
		s.turn.Wait()
	}
	if len(s.unread) > 0 { // Read has it, however long it takes; the buffer goes back
		s.unread = bytes.Clone(s.unread)
	}
}

// came notes that the peer sends. mu is held.
func (s *stream) came() {
	s.received = true
	s.half.heard()
}

// takeRequests looks at the channel's requests, without waiting: one may say that the
// end which follows it is abnormal. Nobody else has to wait for them, for there are
// hardly any; a peer that sends many is stopped by SSH, and found out by its silence.
func (s *stream) takeRequests() {
	for {
		select {
		case r, ok := <-s.requests:
			if !ok {
				return
			}
			if r.Type == resetRequest {
				s.mu.Lock()
				if s.their == nil {
					s.their = parseReset(r.Payload)
				}
				s.mu.Unlock()
			}
			_ = r.Reply(false, nil)
		default:
			return
		}
	}
}

// discardRequests frees SSH's reader, should it wait for somebody to take them.
func (s *stream) discardRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests != nil {
		go ssh.DiscardRequests(s.requests)
	}
}

// ended notes how the channel ended.
func (s *stream) ended(err error) {
	lost := s.tunnel.lost()
	s.takeRequests()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.their != nil:
		s.readError = s.their
	case s.readError != nil: // see lose
	case lost != nil:
		s.readError = lost
	case err != io.EOF:
		s.readError = postern.Errorf(postern.CodeStreamReset, "the other side broke the stream off").Because(err)
	case s.outbound && !s.received && !s.half.told && !s.tunnel.dialsFirst:
		s.readError = postern.Errorf(postern.CodeUpstreamUnreachable, "the connector could not reach the target, or the target hung up without a word")
	default:
		s.readError = io.EOF
	}
	if s.their != nil && s.writeError == nil {
		s.writeError = s.their
	}
	s.finished = true
	s.half.due = true
	s.kick()
	s.forget()
	s.changed()
}

// resetPayload says in a request why we reset.
func resetPayload(why *postern.Error) []byte {
	return []byte(string(why.Code) + "\n" + clipped(why.Text()))
}

// parseReset reads a resetRequest. Codes that do not speak of a stream are not taken
// from a peer.
func parseReset(payload []byte) *postern.Error {
	code, text, _ := strings.Cut(string(payload), "\n")
	why := &postern.Error{Code: postern.CodeStreamReset, Message: frames.Printable(clipped(text))}
	switch c := postern.Code(code); c {
	case postern.CodeUpstreamUnreachable, postern.CodeUpstreamTimeout, postern.CodeStreamRefused, postern.CodeIdle, postern.CodeLinkDraining:
		why.Code = c
	}
	return why
}
