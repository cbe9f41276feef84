package inspect

import "time"

const (
	// preface is the request line with which HTTP/2 begins (RFC 9113 §3.4), as a head;
	// the rest of the preface follows it.
	preface     = "PRI * HTTP/2.0\r\n\r\n"
	prefaceRest = len("SM\r\n\r\n")
	protocol2   = "HTTP/2.0"
	// mostStreams is how many requests of one connection are followed at a time.
	mostStreams = 1000
)

// conversation follows a connection of HTTP/2. What is captured of it is written as
// HTTP/1.1 would have it. Its Stream's lock guards it.
type conversation struct {
	stream   *Stream
	visitors *frames
	service  *frames
	open     map[uint32]*asked
}

// asked is a request, and what has come of it.
type asked struct {
	start   time.Time
	capture *capture // nil: it is only counted
	// What has ended.
	request, answer bool
	answering       bool // the head of the answer has come
}

func newConversation(s *Stream) *conversation {
	c := &conversation{stream: s, open: map[uint32]*asked{}}
	c.visitors, c.service = newFrames(c, false), newFrames(c, true)
	c.visitors.skip = prefaceRest
	return c
}

func (c *conversation) read(answer bool, p []byte) (ok bool) {
	if answer {
		return c.service.read(p)
	}
	return c.visitors.read(p)
}

// head is given the lines of a block: a message's head, or its trailers.
func (c *conversation) head(f *frames) (ok bool) {
	one := c.open[f.of]
	switch {
	case one == nil && !f.answer:
		if len(c.open) == mostStreams || f.fields.method == "" {
			return false
		}
		c.begin(f)
	case one == nil: // was reset
	case !f.answer:
		c.trailers(one, f)
	case one.answering:
		c.trailers(one, f)
	case f.fields.code() >= 200:
		one.answering = true
		if k := one.capture; k != nil {
			k.exchange.Response, k.changed = &k.answer, true
			k.begin(&k.answer, f.fields.answer(f.fields.code()), 0)
			k.answer.Cut = k.answer.Cut || f.fields.cut
			k.publish()
		}
	case f.fields.code() == 0:
		return false
	}
	if f.ends {
		c.ended(f.of, f.answer)
	}
	return true
}

func (c *conversation) begin(f *frames) {
	s, now := c.stream, time.Now()
	s.meter.Begin(now)
	one := &asked{start: now, capture: s.recorder.capture(s, now)}
	c.open[f.of] = one
	if k := one.capture; k != nil {
		k.exchange.Remote = s.visitorOf(f.fields.forwarded)
		k.begin(&k.exchange.Request, f.fields.request(), 0)
		k.exchange.Request.Cut = k.exchange.Request.Cut || f.fields.cut
	}
}

func (c *conversation) trailers(one *asked, f *frames) {
	if k := one.capture; k != nil {
		k.message(f.answer).Trailers = append([]byte(nil), f.fields.text...)
	}
}

// data is given bytes of the body of the frame's stream.
func (c *conversation) data(f *frames, p []byte) {
	if one := c.open[f.stream()]; one != nil && one.capture != nil {
		one.capture.add(one.capture.message(f.answer), p)
	}
}

// ended notes the end of a message.
func (c *conversation) ended(id uint32, answer bool) {
	one, now := c.open[id], time.Now()
	if one == nil {
		return
	}
	k := one.capture
	switch {
	case !answer:
		one.request = true
		if k != nil {
			k.requestDone, k.exchange.Request.Whole, k.changed = true, true, true
		}
	case !one.answer:
		one.answer = true
		c.stream.meter.End(now.Sub(one.start))
		if k != nil {
			k.answer.Whole = true
			k.answerEnded(now)
		}
	}
	if k != nil {
		k.publish()
	}
	if one.request && one.answer {
		delete(c.open, id)
	}
}

// reset notes that a request and its answer go no further.
func (c *conversation) reset(id uint32) {
	one := c.open[id]
	if one == nil {
		return
	}
	delete(c.open, id)
	problem := "the request was given up"
	if one.answer { // the service did not want the rest of the request
		problem = ""
	}
	c.abandon(one, problem)
}

func (c *conversation) abandon(one *asked, problem string) {
	if !one.answer {
		c.stream.meter.End(time.Since(one.start))
	}
	if one.capture != nil {
		one.capture.abandon(problem)
	}
}

// giveUp ends everything.
func (c *conversation) giveUp(problem string) {
	for _, one := range c.open {
		c.abandon(one, problem)
	}
	c.open = nil
}

// message is the request's, or the answer's.
func (c *capture) message(answer bool) *Message {
	if answer {
		return &c.answer
	}
	return &c.exchange.Request
}
