package native_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// pour writes n bytes on one end while the other reads them, in portions with a
// moment between, as a path does that takes time.
func pour(t testing.TB, from, to link.Stream, n int) {
	t.Helper()
	const portion = 64 << 10
	sent := make([]byte, portion)
	for ; n > 0; n -= portion {
		var writing sync.WaitGroup
		writing.Go(func() {
			if _, err := from.Write(sent); err != nil {
				t.Errorf("Write: %v", err)
			}
		})
		if _, err := io.ReadFull(to, make([]byte, portion)); err != nil {
			t.Errorf("Read: %v", err)
		}
		writing.Wait()
		time.Sleep(time.Millisecond) // virtual: of synctest's clock
	}
}

// An agent has one connection; bulk of either end brings more, one of them for the
// stream alone and two to spare; when it is over they go again.
func TestGrowthAndShrinking(t *testing.T) {
	for _, side := range []string{"the agent sends", "the server sends"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				defer f.close()
				server, agent := f.pair(t)
				f.accept(t)
				from, to := agent, server
				if side == "the server sends" {
					from, to = server, agent
				}
				pour(t, from, to, 128<<10)
				synctest.Wait()
				if n := len(f.dialled()); n != 0 {
					t.Errorf("%d further connections for 128 KiB", n)
				}
				pour(t, from, to, 2<<20)
				synctest.Wait()
				if n := native.Carriers(f.client); n != 3 {
					t.Errorf("%d further carriers beside one bulk stream", n)
				}
				if native.CarrierOf(from) == 0 || native.CarrierOf(to) != 0 {
					t.Errorf("the bulk goes over carrier %d, the other direction over %d", native.CarrierOf(from), native.CarrierOf(to))
				}
				time.Sleep(2 * time.Second)
				pour(t, from, to, 1)
				if native.CarrierOf(from) != 0 {
					t.Errorf("a calm stream stayed on carrier %d", native.CarrierOf(from))
				}
				if moves := native.Moves(from); moves != 2 {
					t.Errorf("%d moves", moves)
				}
				time.Sleep(native.IdleLimit)
				synctest.Wait()
				if n := native.Carriers(f.client) + native.Carriers(native.ServerOf(f.hub)); n != 0 {
					t.Errorf("%d further carriers long after the bulk", n)
				}
				pour(t, from, to, 1)
			})
		})
	}
}

// Sixteen carriers are the most, fewer on a path without a delay, however much there
// is to carry, and every stream still gets its bytes.
func TestCarriersAreBounded(t *testing.T) {
	for roundTrip, most := range map[time.Duration]int{0: native.MostNear, 40 * time.Millisecond: native.Most} {
		t.Run(roundTrip.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				defer f.close()
				native.SetPath(roundTrip, f.client, native.ServerOf(f.hub))
				var pouring sync.WaitGroup
				for range 2 * native.Most {
					server, agent := f.pair(t)
					pouring.Go(func() { pour(t, agent, server, 4<<20) })
				}
				pouring.Wait()
				if n := native.Carriers(f.client); n != most {
					t.Errorf("%d further carriers, not %d", n, most)
				}
			})
		})
	}
}

// Small requests and answers never leave carrier 0, for however long they go on.
func TestManySmallAnswersAreNotBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		server, agent := f.pair(t)
		go echo(agent)
		b := make([]byte, 1<<10)
		for range 4000 {
			_, _ = server.Write(b)
			if _, err := io.ReadFull(server, b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
		}
		if n := len(f.dialled()); n != 0 {
			t.Errorf("%d further connections", n)
		}
	})
}

// bulkPair is a stream whose agent's direction is on a further carrier.
func (f *fleet) bulkPair(t *testing.T) (server, agent link.Stream) {
	t.Helper()
	server, agent = f.pair(t)
	pour(t, agent, server, 1<<20)
	if native.CarrierOf(agent) == 0 {
		t.Fatal("the stream stays on carrier 0")
	}
	return server, agent
}

// A further carrier that breaks takes its streams along and nothing else.
func TestLossOfAFurtherCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		server, agent := f.bulkPair(t)
		quiet, far := f.pair(t)
		go echo(far)
		for _, conn := range f.dialled() { // in no order: all are dialled at once
			conn.Cut()
		}
		if _, err := server.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("the reader got %v", err)
		}
		if _, err := agent.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("the writer got %v", err)
		}
		if _, err := quiet.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(quiet, make([]byte, 1)); err != nil {
			t.Errorf("another stream: %v", err)
		}
		_, _ = server.Close(), agent.Close()
		_ = quiet.Close()
		server, agent = f.bulkPair(t) // and there is a new one
		_, _ = server.Close(), agent.Close()
	})
}

// A carrier whose path has gone silent dies of its own heartbeat.
func TestAStalledCarrierIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		server, agent := f.bulkPair(t)
		for _, conn := range f.dialled() {
			conn.Stall(testkit.Both)
		}
		start := time.Now()
		if _, err := server.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 40*time.Second {
			t.Errorf("noticed after %v", took)
		}
		_, _ = server.Close(), agent.Close()
	})
}

// The end of carrier 0 is the end of the session, wherever its streams are.
func TestLossOfCarrierZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		server, agent := f.bulkPair(t)
		f.client.Close(nil)
		for _, st := range []link.Stream{server, agent} {
			if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
				t.Errorf("got %v", err)
			}
		}
		f.close()
		if n := native.Sessions(f.hub); n != 0 {
			t.Errorf("%d sessions can still be joined", n)
		}
	})
}

// B5-10: readers that stop, on carriers of their own and on shared ones, harm nobody.
func TestStalledReadersOnFurtherCarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		var stopped []link.Stream
		for range native.Most + 8 {
			server, agent := f.bulkPair(t)
			stopped = append(stopped, server, agent)
			go func() { _, _ = io.Copy(agent, endless{}) }()
		}
		synctest.Wait() // every window is full
		start := time.Now()
		server, agent := f.pair(t)
		pour(t, agent, server, 4<<20)
		pour(t, server, agent, 4<<20)
		if took := time.Since(start); took > time.Second {
			t.Errorf("8 MiB took %v beside readers that stopped", took)
		}
		for _, st := range stopped {
			_ = st.Close()
		}
	})
}

// endless is a source of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Streams that have moved live on through a drain, as all do.
func TestDrainWithFurtherCarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		server, agent := f.bulkPair(t)
		f.admitted.Session.Drain()
		<-f.client.Draining()
		pour(t, agent, server, 2<<20)
		_, _ = server.Close(), agent.Close()
	})
}

// Either end may be older: then there is one connection.
func TestOneCarrierWhereEitherEndIsOlder(t *testing.T) {
	for _, older := range []string{"agent", "server"} {
		t.Run(older, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := testkit.Pipe()
				registrar := linktest.NewRegistrar(token)
				config := native.Config{Registrar: registrar, Logger: testkit.Logger(t), Hub: new(native.Hub)}
				client := native.ClientConfig{Hello: hello, Logger: testkit.Logger(t), Dial: func(context.Context) (net.Conn, error) {
					t.Error("a further connection was made")
					return nil, net.ErrClosed
				}}
				if older == "server" {
					config.Hub = nil
				} else {
					client.Dial = nil
				}
				e := &ends{registrar: registrar, served: make(chan error, 1)}
				go func() { e.served <- native.Serve(t.Context(), far, config) }()
				var err error
				if e.client, e.welcome, err = native.Connect(t.Context(), near, client); err != nil {
					t.Fatal(err)
				}
				if e.admitted, err = registrar.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer e.close()
				server, agent := (&fleet{ends: e}).pair(t)
				pour(t, agent, server, 2<<20)
				pour(t, server, agent, 2<<20)
			})
		})
	}
}

// A connection that does not know the secret of a session learns nothing and goes.
func TestJoinIsRefused(t *testing.T) {
	long := string(bytes.Repeat([]byte("a"), 43))
	for name, request := range map[string]native.Join{
		"nothing":       {},
		"unknown":       {Session: "x", Secret: sessionmsg.Token(long), Carrier: 1},
		"wrong secret":  {Secret: sessionmsg.Token(long), Carrier: 1},
		"empty secret":  {Carrier: 1},
		"carrier 0":     {Secret: "right"},
		"a number used": {Secret: "right", Carrier: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t).grown(t, 1)
			defer f.close()
			session, secret := native.Ticket(f.client)
			if request.Session == "" && name != "nothing" {
				request.Session = session
			}
			if request.Secret == "right" {
				request.Secret = secret
			}
			near, far := testkit.Pipe()
			served := make(chan error, 1)
			go func() {
				served <- native.Serve(t.Context(), far, native.Config{Registrar: f.registrar, Logger: testkit.Logger(t), Hub: f.hub})
			}()
			peer := mux.New(near, mux.Config{Client: true, Window: 1 << 20, RichResets: true})
			raw, err := sessionmsg.Encode(request)
			if err != nil {
				t.Fatal(err)
			}
			st, err := peer.Open(t.Context(), native.TypeJoin, raw)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(st)
			if err != nil || !bytes.Contains(answer, []byte("ERR_")) {
				t.Errorf("answered %q, %v", answer, err)
			}
			peer.Close(nil)
			if err := <-served; err == nil {
				t.Error("served without an error")
			}
			<-peer.Closed()
			if n := native.Carriers(native.ServerOf(f.hub)); n != 1 {
				t.Errorf("%d further carriers", n)
			}
		})
	}
}

// B2: a connection that says nothing, or half a join, goes in time.
func TestASilentJoinEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		served := make(chan error, 1)
		go func() {
			served <- native.Serve(t.Context(), far, native.Config{Registrar: linktest.NewRegistrar(), Logger: testkit.Logger(t), Hub: new(native.Hub)})
		}()
		peer := mux.New(near, mux.Config{Client: true, Window: 1 << 20, RichResets: true})
		st, err := peer.Open(t.Context(), native.TypeJoin, []byte(`{"Session":`))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-served
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		_ = st.Close()
		peer.Close(nil)
		<-peer.Closed()
	})
}

// A dial that fails is not tried again at once, and the stream goes on where it is.
func TestDialsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		registrar := linktest.NewRegistrar(token)
		var mu sync.Mutex
		dials := 0
		e := &ends{registrar: registrar, served: make(chan error, 1)}
		go func() {
			e.served <- native.Serve(t.Context(), far, native.Config{Registrar: registrar, Logger: testkit.Logger(t), Hub: new(native.Hub)})
		}()
		var err error
		e.client, _, err = native.Connect(t.Context(), near, native.ClientConfig{Hello: hello, Logger: testkit.Logger(t), Dial: func(context.Context) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dials++
			return nil, net.ErrClosed
		}})
		if err != nil {
			t.Fatal(err)
		}
		if e.admitted, err = registrar.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer e.close()
		server, agent := (&fleet{ends: e}).pair(t)
		start := time.Now()
		for time.Since(start) < 10*time.Second {
			pour(t, agent, server, 1<<20)
		}
		mu.Lock()
		defer mu.Unlock()
		if dials == 0 || dials > 20 {
			t.Errorf("%d dials in 10 s", dials)
		}
	})
}

func FuzzContinue(f *testing.F) {
	f.Add(uint32(2), uint32(1))
	f.Fuzz(func(t *testing.T, root, number uint32) {
		b := native.AppendContinue(nil, root, number)
		gotRoot, gotNumber := native.ReadContinue([8]byte(b))
		if len(b) != 8 || gotRoot != root || gotNumber != number {
			t.Errorf("%d, %d became %x, then %d, %d", root, number, b, gotRoot, gotNumber)
		}
	})
}

// FuzzJoin: whatever a stranger says first, the connection ends and no session is
// the worse for it.
func FuzzJoin(f *testing.F) {
	f.Add([]byte(`{"Session":"x","Secret":"y","Carrier":1}`))
	f.Add([]byte(`{"Session":"","Secret":"","Carrier":-1}`))
	f.Add([]byte(`{"Session":`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := testkit.Pipe()
			served := make(chan error, 1)
			go func() {
				served <- native.Serve(t.Context(), far, native.Config{Registrar: linktest.NewRegistrar(), Logger: testkit.Logger(t), Hub: new(native.Hub)})
			}()
			peer := mux.New(near, mux.Config{Client: true, Window: 1 << 20, RichResets: true})
			if st, err := peer.Open(t.Context(), native.TypeJoin, message); err == nil {
				_ = st.CloseWrite()
			}
			if err := <-served; err == nil {
				t.Error("a join without a session was served")
			}
			peer.Close(nil)
			<-peer.Closed()
		})
	})
}

// A further connection that is not let in leaves the session as it is: bulk goes on over the
// first.
func TestFurtherConnectionsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		f.admitted.RefuseFurther(postern.Errorf(postern.CodeIngressForeign, "another account's"))
		native.SetPath(40*time.Millisecond, f.client, native.ServerOf(f.hub))
		server, agent := f.pair(t)
		pour(t, agent, server, 8<<20)
		if n := native.Carriers(f.client) + native.Carriers(native.ServerOf(f.hub)); n != 0 || len(f.dialled()) == 0 {
			t.Errorf("%d further carriers of %d that were dialled", n, len(f.dialled()))
		}
	})
}
