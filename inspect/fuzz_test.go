package inspect_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/postern-dev/postern/inspect"
)

// FuzzStream gives both directions whatever there is, in whatever pieces: nothing
// panics, what is held stays within its bound, and every request that was counted is
// over once the stream is.
func FuzzStream(f *testing.F) {
	f.Add([]byte(typicalRequest+getRequest), []byte(typicalAnswer+"2\r\n\r\nok"), uint64(1))
	f.Add([]byte("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: v\r\n\r\n"), uint64(2))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), []byte("HTTP/1.1 101 X\r\n\r\nframes"), uint64(3))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00GET / HTTP/1.0\r\n\r\n"), []byte("HTTP/1.0 200\r\n\r\nuntil the end"), uint64(4))
	f.Fuzz(func(t *testing.T, requests, answers []byte, seed uint64) {
		const most = 32 << 10
		r := inspect.NewRecorder(inspect.NewStore(most), -1)
		s := r.Stream("web", netip.AddrPort{})
		random := rand.New(rand.NewPCG(seed, 0))
		for len(requests) > 0 || len(answers) > 0 {
			if len(answers) == 0 || len(requests) > 0 && random.IntN(2) == 0 {
				n := 1 + random.IntN(len(requests))
				s.FromVisitor(requests[:n])
				requests = requests[n:]
			} else {
				n := 1 + random.IntN(len(answers))
				s.FromService(answers[:n])
				answers = answers[n:]
			}
			if held := r.Store().Bytes(); held < 0 || held > most {
				t.Fatalf("%d bytes are held", held)
			}
		}
		s.End(nil)
		for _, x := range r.Store().List(inspect.Filter{}, 0) {
			if !x.Done {
				t.Fatalf("not done at the end: %+v", x)
			}
			x.Request.RequestLine()
			for range x.Request.Lines() {
			}
			if x.Response != nil {
				if _, _, code := x.Response.StatusLine(); len(x.Response.Raw) > 0 && (code < 101 || code > 999) {
					t.Fatalf("status %d of %q", code, x.Response.Raw)
				}
			}
		}
		r.Store().Clear()
		if held := r.Store().Bytes(); held != 0 {
			t.Fatalf("%d bytes are held of nothing", held)
		}
	})
}

// talk is a conversation that follows the rules, and what must come out.
type talk struct {
	requests, answers [][]byte // on the wire, one of each for an exchange
	bodies, replies   [][]byte
}

// makeTalk writes a conversation of random messages.
func makeTalk(random *rand.Rand) (c talk) {
	for i := range 1 + random.IntN(5) {
		method := []string{"GET", "HEAD", "POST", "PUT"}[random.IntN(4)]
		body, reply := blob(random), blob(random)
		request := fmt.Appendf(nil, "%s /%d HTTP/1.1\r\nHost: h\r\nX-Number: %d\r\n", method, i, i)
		request = append(request, framed(random, body)...)
		var answer []byte
		for range random.IntN(3) {
			answer = append(answer, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"...)
		}
		status := []string{"200 OK", "204 No Content", "304 Not Modified", "500 Oops"}[random.IntN(4)]
		answer = fmt.Appendf(answer, "HTTP/1.1 %s\r\nX-Number: %d\r\n", status, i)
		switch {
		case method == "HEAD" || status[0] != '2' && status[0] != '5' || status == "204 No Content":
			reply = nil
			answer = append(answer, "\r\n"...)
		default:
			answer = append(answer, framed(random, reply)...)
		}
		c.requests, c.answers = append(c.requests, request), append(c.answers, answer)
		c.bodies, c.replies = append(c.bodies, body), append(c.replies, reply)
	}
	return c
}

func blob(random *rand.Rand) []byte {
	b := make([]byte, random.IntN(200))
	for i := range b {
		b[i] = "\r\n0123456789abcdefHTTP/1.1 :"[random.IntN(28)]
	}
	return b
}

// framed is the end of a head and a body behind it.
func framed(random *rand.Rand, body []byte) (text []byte) {
	if random.IntN(2) == 0 {
		return append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...)
	}
	text = []byte("Transfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := 1 + random.IntN(len(body))
		text = fmt.Appendf(text, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	if text = append(text, "0\r\n"...); random.IntN(2) == 0 {
		text = append(text, "X-Trailer: 1\r\n"...)
	}
	return append(text, "\r\n"...)
}

// FuzzConversation: what follows the rules comes out exactly, in whatever pieces it
// passed, pipelined or not.
func FuzzConversation(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := makeTalk(random)
		r := inspect.NewRecorder(inspect.NewStore(0), -1)
		s := r.Stream("web", netip.AddrPort{})
		pass := func(text []byte, to func([]byte)) {
			for len(text) > 0 {
				n := 1 + random.IntN(min(len(text), 1+random.IntN(300)))
				piece := bytes.Clone(text[:n])
				to(piece)
				clear(piece) // nobody may keep it
				text = text[n:]
			}
		}
		if random.IntN(2) == 0 {
			pass(bytes.Join(c.requests, nil), s.FromVisitor)
			pass(bytes.Join(c.answers, nil), s.FromService)
		} else {
			for i := range c.requests {
				pass(c.requests[i], s.FromVisitor)
				pass(c.answers[i], s.FromService)
			}
		}
		s.End(nil)
		all := r.Store().List(inspect.Filter{}, 0)
		if len(all) != len(c.requests) {
			t.Fatalf("%d exchanges of %d", len(all), len(c.requests))
		}
		for i := range c.requests {
			x := all[len(all)-1-i]
			head, _, _ := bytes.Cut(c.requests[i], []byte("\r\n\r\n"))
			if string(x.Request.Raw) != string(head)+"\r\n\r\n"+string(c.bodies[i]) {
				t.Fatalf("request %d: %q", i, x.Request.Raw)
			}
			if x.Response == nil || !bytes.Equal(x.Response.Body(), c.replies[i]) || !x.Done || x.Problem != "" || x.Response.Size != int64(len(c.replies[i])) {
				t.Fatalf("answer %d: %+v", i, x)
			}
		}
	})
}
