package inspect

import (
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern/relay/http1"
)

// mostPipelined is how many requests may wait for answers on one stream.
const mostPipelined = 64

// Stream reads along with the two directions of a relayed stream. Each direction's
// bytes must come in order, the directions may come concurrently, and End comes last.
// Nothing blocks for longer than it takes to copy, and no bytes are kept but copies.
type Stream struct {
	recorder *Recorder
	endpoint string
	visitor  netip.AddrPort
	meter    *Meter
	always   bool   // keep it whatever the budget says
	replayOf string // see Exchange

	mu       sync.Mutex
	blind    bool // this is no HTTP, or not any more
	meant    bool // the first head has come
	visitors direction
	service  direction
	request  http1.Request
	response http1.Response
	waiting  []pending     // requests whose answers have not ended, oldest first
	current  *capture      // of the request whose body comes in; nil where it is not kept
	frames   *conversation // of HTTP/2; nil where this is not
}

// pending is a request whose answer has not ended.
type pending struct {
	start   time.Time
	capture *capture // nil: it is only counted
	head    bool     // the method is HEAD
}

// FromVisitor is given bytes of requests.
func (s *Stream) FromVisitor(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind || len(p) == 0 {
		return
	}
	rest, ok := p, true
	if !s.visitors.began {
		var more bool
		if rest, more, ok = s.visitors.start(p); more {
			return
		}
	}
	if ok {
		ok = s.read(&s.visitors, rest)
	}
	if !ok {
		s.giveUp("the request is not " + s.protocol() + " as it should be")
	}
	s.publish()
}

// FromService is given bytes of answers.
func (s *Stream) FromService(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read(&s.service, p) {
		s.giveUp("the answer is not " + s.protocol() + " as it should be")
	}
	s.publish()
}

// protocol is what is spoken.
func (s *Stream) protocol() string {
	if s.frames != nil {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}

// read follows the messages in p, which goes the way of d. It stops where the stream is
// followed no more; ok is false where p is not HTTP.
func (s *Stream) read(d *direction, p []byte) (ok bool) {
	for ok = true; ok && len(p) > 0 && !s.blind; {
		if s.frames != nil {
			return s.frames.read(d.answer, p)
		}
		if d.place == atHead {
			p, ok = s.takeHead(d, p)
			continue
		}
		var taken int
		var done bool
		taken, done, ok = d.body(p)
		p = p[taken:]
		if done {
			s.bodyEnded(d)
		}
	}
	return ok
}

// takeHead takes the head of a request or an answer off p.
func (s *Stream) takeHead(d *direction, p []byte) (rest []byte, ok bool) {
	if d.answer {
		return s.takeAnswer(p)
	}
	return s.takeRequest(p)
}

func (s *Stream) bodyEnded(d *direction) {
	if d.answer {
		s.answerEnded()
		return
	}
	s.requestEnded()
}

// End is told that the stream is over; err says why, where it did not end in peace.
func (s *Stream) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind {
		return
	}
	if err == nil {
		s.serviceEnded()
	}
	problem := "the connection ended before the answer did"
	if err != nil {
		problem += ": " + err.Error()
	}
	s.giveUp(problem)
}

// serviceEnded ends a body that lasts as long as the stream.
func (s *Stream) serviceEnded() {
	if s.service.place == inRest {
		s.answerEnded()
		s.publish()
	}
}

// serviceSaidAll is told that no more answers will come, and gives io.ErrUnexpectedEOF
// where some are missing.
func (s *Stream) serviceSaidAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serviceEnded()
	if !s.blind && len(s.waiting) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// takeRequest takes a request's head off p.
func (s *Stream) takeRequest(p []byte) (rest []byte, ok bool) {
	head, rest, ok := s.visitors.head(p)
	if head == nil || !ok {
		return rest, ok
	}
	if string(head) == preface && !s.meant {
		return rest, s.becomeFrames()
	}
	s.meant = true
	if s.request.Parse(head, http1.Limits{Bytes: mostHead, Lines: mostLines}) != nil || len(s.waiting) == mostPipelined {
		return nil, false
	}
	now := time.Now()
	s.meter.Begin(now)
	s.visitors.expect(&s.request.Head)
	s.current = s.recorder.capture(s, now)
	s.waiting = append(s.waiting, pending{start: now, capture: s.current, head: string(s.request.Method) == "HEAD"})
	if s.current != nil {
		s.current.begin(&s.current.exchange.Request, head, s.request.Length)
		s.current.exchange.Remote = s.remote()
	}
	if s.visitors.place == atHead {
		s.requestEnded()
	}
	return rest, true
}

// becomeFrames goes on in HTTP/2. The service may have begun with it already.
func (s *Stream) becomeFrames() (ok bool) {
	s.meant, s.frames = true, newConversation(s)
	begun := s.service.carry
	s.service.carry = nil
	return s.frames.read(true, begun)
}

// remote is the visitor of the request that has just come.
func (s *Stream) remote() string {
	var last []byte
	for i := range s.request.Lines {
		if s.request.Lines[i].Field == http1.ForwardedFor {
			last = s.request.Lines[i].Value
		}
	}
	return s.visitorOf(string(last))
}

// visitorOf is the visitor's address: the last of X-Forwarded-For is the server's own
// word, and one stream serves several visitors.
func (s *Stream) visitorOf(forwarded string) string {
	last := forwarded[strings.LastIndexByte(forwarded, ',')+1:]
	if address, err := netip.ParseAddr(strings.TrimSpace(last)); err == nil {
		return address.Unmap().String()
	}
	if s.visitor.IsValid() {
		return s.visitor.Addr().Unmap().String()
	}
	return ""
}

func (s *Stream) keepRequest(p []byte) {
	if s.current != nil {
		s.current.add(&s.current.exchange.Request, p)
	}
}

func (s *Stream) requestEnded() {
	if c := s.current; c != nil {
		c.exchange.Request.Whole = true
		c.requestDone, c.changed = true, true
		// Those that wait for their answers are published at the end of the piece.
		if !s.isWaiting(c) {
			c.publish()
		}
	}
	s.current = nil
	s.visitors.place = atHead
}

func (s *Stream) isWaiting(c *capture) bool {
	return slices.ContainsFunc(s.waiting, func(p pending) bool { return p.capture == c })
}

// takeAnswer takes an answer's head off p.
func (s *Stream) takeAnswer(p []byte) (rest []byte, ok bool) {
	head, rest, ok := s.service.head(p)
	if head == nil || !ok {
		return rest, ok
	}
	if len(s.waiting) == 0 {
		return nil, false
	}
	asked := &s.waiting[0]
	if s.response.Parse(head, http1.Limits{Bytes: mostHead, Lines: mostLines}, asked.head) != nil {
		return nil, false
	}
	if s.response.Code < 200 && s.response.Code != 101 {
		return rest, true
	}
	s.service.expect(&s.response.Head)
	if c := asked.capture; c != nil {
		c.exchange.Response, c.changed = &c.answer, true
		c.begin(&c.answer, head, s.response.Length)
	}
	if s.response.Code == 101 {
		if c := asked.capture; c != nil {
			c.requestDone = true // what follows is no part of it
		}
		s.answerEnded()
		s.giveUp("")
		return nil, true
	}
	if s.service.place == atHead {
		s.answerEnded()
	}
	return rest, true
}

func (s *Stream) keepAnswer(p []byte) {
	if c := s.waiting[0].capture; c != nil {
		c.add(&c.answer, p)
	}
}

func (s *Stream) answerEnded() {
	asked, now := s.waiting[0], time.Now()
	s.meter.End(now.Sub(asked.start))
	if c := asked.capture; c != nil {
		c.answer.Trailers, c.answer.Whole = s.service.trailers(), true
		c.answerEnded(now)
		c.publish()
	}
	s.waiting = s.waiting[:copy(s.waiting, s.waiting[1:])]
	s.service.place = atHead
}

// publish shows what has changed of exchanges that go on.
func (s *Stream) publish() {
	for i := range s.waiting {
		if c := s.waiting[i].capture; c != nil {
			c.publish()
		}
	}
}

// giveUp stops following the stream; what is unfinished is shown as it is.
func (s *Stream) giveUp(problem string) {
	if s.blind {
		return
	}
	s.blind = true
	now := time.Now()
	for i := range s.waiting {
		s.meter.End(now.Sub(s.waiting[i].start))
		if c := s.waiting[i].capture; c != nil {
			c.abandon(problem)
		}
	}
	if s.current != nil {
		s.current.abandon(problem) // answered before the request had ended
	}
	if s.frames != nil {
		s.frames.giveUp(problem)
	}
	s.waiting, s.current, s.frames = nil, nil, nil
	s.visitors.carry, s.service.carry = nil, nil
	s.request, s.response = http1.Request{}, http1.Response{} // a WebSocket may stay for days
}

// quiet tells whether every request has its answer, or nothing is followed any more.
func (s *Stream) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blind || len(s.waiting) == 0
}
