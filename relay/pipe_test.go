package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
)

// joined runs a Pipe between two new connections. visitor and service are their outer
// ends.
type joined struct {
	visitor, service relay.Conn
	done             chan relay.Result
}

type maker func(testing.TB) (outer, inner relay.Conn)

func join(t testing.TB, left, right maker, o relay.Options) *joined {
	t.Helper()
	return joinContext(t, t.Context(), left, right, o)
}

func joinContext(t testing.TB, ctx context.Context, left, right maker, o relay.Options) *joined {
	t.Helper()
	visitor, a := left(t)
	service, b := right(t)
	j := &joined{visitor: visitor, service: service, done: make(chan relay.Result, 1)}
	go j.run(ctx, a, b, o)
	return j
}

func (j *joined) run(ctx context.Context, a, b relay.Conn, o relay.Options) {
	j.done <- relay.Pipe(ctx, a, b, o)
}

var transports = map[string][2]maker{
	"memory":         {memory, memory},
	"tcp":            {loopback, loopback}, // spliced on Linux
	"tls to tcp":     {encrypted, loopback},
	"tcp to tls":     {loopback, encrypted},
	"tls":            {encrypted, encrypted},
	"peeked":         {peeked, loopback},
	"memory, tls":    {memory, encrypted},
	"stream, tcp":    {awaited, loopback},
	"tcp, stream":    {loopback, awaited},
	"streams":        {awaited, awaited},
	"stream, tls":    {awaited, encrypted},
	"memory, stream": {memory, awaited},
	"pump, tcp":      {pumped, loopback},
	"tls, pump":      {encrypted, pumped},
	"pumps":          {pumped, pumped},
	"pump, stream":   {pumped, awaited},
}

// eachWay runs a test with Pipe and with Run, over every pair of transports.
func eachWay(t *testing.T, test func(t *testing.T, join joiner)) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			test(t, func(o relay.Options) *joined { return join(t, pair[0], pair[1], o) })
		})
		t.Run("run/"+name, func(t *testing.T) {
			test(t, func(o relay.Options) *joined { return set(t, pair[0], pair[1], o) })
		})
	}
}

type joiner func(o relay.Options) *joined

// set is join with Run.
func set(t testing.TB, left, right maker, o relay.Options) *joined {
	t.Helper()
	visitor, a := left(t)
	service, b := right(t)
	j := &joined{visitor: visitor, service: service, done: make(chan relay.Result, 1)}
	go relay.Run(t.Context(), a, b, o, func(r relay.Result) { j.done <- r })
	return j
}

func peeked(t testing.TB) (outer, inner relay.Conn) {
	outer, inner = loopback(t)
	return outer, relay.NewPeeked(inner, 1<<10)
}

func TestPipeHalfCloses(t *testing.T) {
	eachWay(t, func(t *testing.T, join joiner) {
		counters := new(relay.Counters)
		j := join(relay.Options{Counters: counters})
		write(t, j.visitor, "question")
		expect(t, j.service, "question")
		_ = j.visitor.CloseWrite()
		if n, err := j.service.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("after the visitor's end: %d, %v", n, err)
		}
		write(t, j.service, "a long answer")
		expect(t, j.visitor, "a long answer")
		_ = j.service.CloseWrite()
		if n, err := j.visitor.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("after the service's end: %d, %v", n, err)
		}
		want := relay.Result{AToB: 8, BToA: 13}
		if r := <-j.done; r != want {
			t.Fatalf("result %+v, want %+v", r, want)
		}
		if counters.AToB.Load() != 8 || counters.BToA.Load() != 13 {
			t.Fatalf("counters %d, %d", counters.AToB.Load(), counters.BToA.Load())
		}
	})
}

func TestPipeMovesEveryByte(t *testing.T) {
	eachWay(t, func(t *testing.T, join joiner) {
		for size, o := range map[int]relay.Options{1<<20 + 17: {Idle: 1 << 40, MinRate: 1}, 2<<20 + 17: {}} {
			j := join(o)
			var all sync.WaitGroup
			all.Go(func() { send(t, j.visitor, 1, size) })
			all.Go(func() { send(t, j.service, 2, size) })
			all.Go(func() { receive(t, j.service, 1, size) })
			receive(t, j.visitor, 2, size)
			all.Wait()
			if r := <-j.done; r.Err != nil || r.AToB != int64(size) || r.BToA != int64(size) {
				t.Fatalf("result %+v", r)
			}
		}
	})
}

// send writes reproducible noise in pieces of all sizes, then half-closes.
func send(t testing.TB, c relay.Conn, seed uint64, size int) {
	noise := noise(seed, size)
	for r := rand.New(rand.NewPCG(seed, 1)); len(noise) > 0; {
		n := min(1+r.IntN(1<<(1+r.IntN(17))), len(noise))
		if _, err := c.Write(noise[:n]); err != nil {
			t.Errorf("writing: %v", err)
			return
		}
		noise = noise[n:]
	}
	if err := c.CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
}

func receive(t testing.TB, c relay.Conn, seed uint64, size int) {
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, noise(seed, size)) {
		t.Errorf("received %d bytes of %d, err %v, or they differ", len(got), size, err)
	}
}

func noise(seed uint64, size int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// B5-13, B5-15: a reset passes through as a reset, never as a clean end.
func TestPipePassesResetsOn(t *testing.T) {
	eachWay(t, func(t *testing.T, join joiner) {
		for _, by := range []relay.Side{relay.A, relay.B} {
			t.Run("by "+string(by), func(t *testing.T) {
				j := join(relay.Options{})
				dies, lives := j.visitor, j.service
				if by == relay.B {
					dies, lives = lives, dies
				}
				write(t, dies, "half of a message")
				expect(t, lives, "half of a message")
				relay.Abort(dies, &postern.Error{Code: postern.CodeInternal})
				n, err := lives.Read(make([]byte, 1))
				if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("the living side read %d, %v; want a reset", n, err)
				}
				r := <-j.done
				if r.Err == nil || r.Err.Code != postern.CodeStreamReset || r.By != by {
					t.Fatalf("result %+v", r)
				}
			})
		}
	})
}

// A stream's own code reaches the other stream: the reason is not lost on the way.
func TestPipeKeepsCodes(t *testing.T) {
	visitor, a := memory(t)
	_, b := memory(t)
	left, right := newStream(a), newStream(failing{b, postern.Errorf(postern.CodeUpstreamUnreachable, "refused")})
	r := relay.Pipe(t.Context(), left, right, relay.Options{})
	if r.Err == nil || r.Err.Code != postern.CodeUpstreamUnreachable || r.By != relay.B {
		t.Fatalf("result %+v", r)
	}
	if why := <-left.resets; why.Code != postern.CodeUpstreamUnreachable {
		t.Fatalf("reset with %v", why)
	}
	if _, err := visitor.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("visitor read %v", err)
	}
}

// A link may end so quietly that there is only an end of file to tell of. For who was
// reading from a stream of it that is no clean end.
func TestPipeTakesAWrappedEndForAFailure(t *testing.T) {
	visitor, a := loopback(t)
	_, b := memory(t)
	lost := failing{b, postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(io.EOF)}
	r := relay.Pipe(t.Context(), a, lost, relay.Options{})
	if r.Err == nil || r.Err.Code != postern.CodeLinkLost || r.By != relay.B {
		t.Fatalf("result %+v", r)
	}
	if _, err := visitor.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("visitor read %v", err)
	}
}

// failing is a stream that was refused: its Read fails with a code.
type failing struct {
	relay.Conn
	err error
}

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestPipeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	j := joinContext(t, ctx, memory, memory, relay.Options{})
	write(t, j.visitor, "x")
	expect(t, j.service, "x")
	cancel(postern.Errorf(postern.CodeLinkDraining, "shutting down"))
	for _, c := range []net.Conn{j.visitor, j.service} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %v, want a reset", err)
		}
	}
	if r := <-j.done; r.Err == nil || r.Err.Code != postern.CodeLinkDraining || r.By != relay.Neither {
		t.Fatalf("result %+v", r)
	}
}

// A service that answers early and stops listening is heard.
func TestPipeDeliversLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		visitor, a := memory(t)
		service, b := memory(t)
		deaf := &deafConn{Conn: b, err: &net.OpError{Op: "write", Err: syscall.EPIPE}}
		done := make(chan relay.Result, 1)
		go func() { done <- relay.Pipe(t.Context(), a, deaf, relay.Options{}) }()
		write(t, visitor, "an upload that nobody wants")
		synctest.Wait() // the write has failed
		write(t, service, "413 too large")
		_ = service.CloseWrite()
		got, err := io.ReadAll(visitor)
		if string(got) != "413 too large" || err != nil {
			t.Fatalf("visitor read %q, %v", got, err)
		}
		if r := <-done; r.Err == nil || r.By != relay.B || r.BToA != 13 {
			t.Fatalf("result %+v", r)
		}
	})
}

// deafConn fails every write.
type deafConn struct {
	relay.Conn
	err error
}

func (c *deafConn) Write([]byte) (int, error) { return 0, c.err }

// After a connection broke under a write, the end of file that its read reports is
// not believed.
func TestPipeDistrustsEndAfterBrokenWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		visitor, a := memory(t)
		service, b := memory(t)
		broken := &deafConn{Conn: b, err: syscall.ECONNRESET}
		done := make(chan relay.Result, 1)
		go func() { done <- relay.Pipe(t.Context(), a, broken, relay.Options{}) }()
		write(t, visitor, "upload")
		synctest.Wait()
		_ = service.CloseWrite()
		if _, err := io.ReadAll(visitor); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("visitor read %v, want a reset", err)
		}
		if r := <-done; r.Err == nil || r.By != relay.B {
			t.Fatalf("result %+v", r)
		}
	})
}
