package native_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
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
)

var gatewayPort = link.GatewayPort{Gateway: "stage", Network: postern.TCP, Port: 8081}

// consumer is a session as the conformance suite sees it: the end that opens is the
// agent here. Headers go aside, these streams have none.
type consumer struct {
	client   *native.Client
	admitted *linktest.Admitted

	opening sync.Mutex
	headers chan link.Header
}

func (c *consumer) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	c.opening.Lock()
	st, err := c.client.DialEarly(ctx, gatewayPort)
	if err == nil {
		c.headers <- h
	}
	c.opening.Unlock()
	if err != nil {
		return nil, err
	}
	if _, err := st.Write(first); err != nil {
		return nil, err
	}
	return st, native.ReadAnswer(st)
}

func (c *consumer) Accept(ctx context.Context) (link.Header, link.Stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(contextOf(c.client), func() { cancel(c.client.Cause()) })()
	j, err := c.admitted.NextJoined(ctx)
	if err != nil {
		return link.Header{}, nil, context.Cause(ctx)
	}
	return <-c.headers, j, nil
}

// contextOf ends with the client's session.
func contextOf(client *native.Client) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	client.AfterDone(cancel)
	return ctx
}

// Streams to gateways keep every promise that visitors' streams keep, with the ends
// swapped, on one connection and while they move between several.
func TestLinkOfConsumers(t *testing.T) {
	open := func(e *ends) *consumer {
		return &consumer{client: e.client, admitted: e.admitted, headers: make(chan link.Header, 256)}
	}
	t.Run("one carrier", func(t *testing.T) {
		linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
			e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
			c := open(e)
			return c, c, e.close
		})
	})
	t.Run("moving", func(t *testing.T) {
		linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
			f := grownAndForced(t, 1, 4, 8<<10)
			c := open(f.ends)
			return c, c, f.close
		})
	})
}

// dialled opens a stream and gives both its ends.
func (e *ends) dial(t testing.TB) (consumer link.Stream, service *linktest.Joined) {
	t.Helper()
	consumer, err := e.client.DialEarly(t.Context(), gatewayPort)
	if err != nil {
		t.Fatal(err)
	}
	service, err = e.admitted.NextJoined(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if service.Port != gatewayPort {
		t.Errorf("the server heard %+v", service.Port)
	}
	return consumer, service
}

// What the server refuses is an error with its code: at once for those who wait for the
// answer, at the first Read for those who do not.
func TestRefusedPorts(t *testing.T) {
	for _, code := range []postern.Code{postern.CodeAccessDenied, postern.CodeGatewayUnknown, postern.CodeGatewayPortClosed} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
				defer e.close()
				e.admitted.Refuse(func(p link.GatewayPort) error {
					return postern.Errorf(code, "not port %d of %s", p.Port, p.Gateway)
				})
				const want = "not port 8081 of stage"
				if _, err := e.client.Dial(t.Context(), gatewayPort); !postern.HasCode(err, code) || postern.AsError(err).Text() != want {
					t.Errorf("Dial = %v", err)
				}
				if err := e.client.Check(t.Context(), gatewayPort); !postern.HasCode(err, code) {
					t.Errorf("Check = %v", err)
				}
				st, err := e.client.DialEarly(t.Context(), gatewayPort)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, code) {
					t.Errorf("Read = %v", err)
				}
				if _, err := st.Write([]byte("x")); !postern.HasCode(err, code) {
					t.Errorf("Write = %v", err)
				}
				_ = st.Close()
				e.admitted.Refuse(nil)
				if err := e.client.Check(t.Context(), gatewayPort); err != nil {
					t.Errorf("Check of an open port = %v", err)
				}
				synctest.Wait()
				if n := e.client.Streams(); n != 0 {
					t.Errorf("%d streams are left", n)
				}
			})
		})
	}
}

// A deadline that passes in the middle of the answer leaves the stream usable.
func TestDeadlineBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
		defer e.close()
		held := make(chan struct{})
		free := sync.OnceFunc(func() { close(held) })
		defer free()
		e.admitted.Refuse(func(link.GatewayPort) error { <-held; return nil })
		st, err := e.client.DialEarly(t.Context(), gatewayPort)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = st.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := st.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v", err)
		}
		if st.(link.Readable).Readable() {
			t.Error("there is something to read")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // longer than a request may take
		defer cancel()
		if _, err := e.client.Dial(ctx, gatewayPort); !postern.HasCode(err, postern.CodeRequestTimeout) {
			t.Errorf("Dial = %v", err)
		}
		synctest.Wait() // the server knows that nobody waits for that one any more
		free()
		_ = st.SetReadDeadline(time.Time{})
		service, err := e.admitted.NextJoined(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go echo(service)
		if _, err := io.ReadFull(st, make([]byte, 5)); err != nil {
			t.Errorf("Read after the answer = %v", err)
		}
		_ = st.Close()
	})
}

// Streams to gateways are no requests: hundreds of them, for hours, hold up nobody.
func TestManyConsumersAndARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
		defer e.close()
		var all []link.Stream
		for range native.MostDialled {
			consumer, service := e.dial(t)
			all = append(all, consumer)
			go echo(service)
		}
		time.Sleep(time.Hour)
		if _, err := e.client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}}); err != nil {
			t.Errorf("Bind beside %d streams: %v", len(all), err)
		}
		for _, st := range all {
			if _, err := st.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(st, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, st := range all {
			_ = st.Close()
		}
	})
}

// All programs of a consumer may connect in one instant.
func TestConsumersAllAtOnce(t *testing.T) {
	e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
	defer e.close()
	go func() {
		for {
			service, err := e.admitted.NextJoined(t.Context())
			if err != nil {
				return
			}
			go echo(service)
		}
	}()
	var dialling sync.WaitGroup
	for range 1000 {
		dialling.Go(func() {
			st, err := e.client.Dial(t.Context(), gatewayPort)
			if err != nil {
				t.Errorf("Dial = %v", err)
				return
			}
			_ = st.Close()
		})
	}
	dialling.Wait()
}

// Bulk of a consumer leaves carrier 0, in both directions, as visitors' does.
func TestConsumersBulkMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.close()
		consumer, service := f.dial(t)
		pour(t, consumer, service, 4<<20)
		pour(t, service, consumer, 4<<20)
		if there, back := native.CarrierOf(consumer), native.CarrierOf(service.Stream); there == 0 || back == 0 {
			t.Errorf("the bulk goes over carriers %d and %d", there, back)
		}
		data := bytes.Repeat([]byte("order"), 100<<10)
		go func() {
			_, _ = service.Write(data)
			_ = service.CloseWrite()
		}()
		if got, err := io.ReadAll(consumer); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_, _ = consumer.Close(), service.Close()
	})
}

// A session that ends takes its consumers' streams along, at both ends.
func TestConsumersEndWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
		consumer, service := e.dial(t)
		e.admitted.Session.Close(postern.Errorf(postern.CodeCredentialRevoked, "gone"))
		for _, st := range []link.Stream{consumer, service} {
			if _, err := st.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("Read = %v", err)
			}
		}
		if _, err := e.client.Dial(t.Context(), gatewayPort); err == nil {
			t.Error("a session that has ended dials")
		}
		e.close()
	})
}

// B5-33: a server that knows no such streams is said to be too old, and is not asked.
func TestServerWithoutConsumers(t *testing.T) {
	dial := otherServer(t, `{"Version":"3","ClientId":"a","Extra":{"AgentSessionID":"ts_1","Postern":{"Names":["drain"]}}}`, func(*mux.Session) {})
	client, _, err := native.Connect(t.Context(), dial(), native.ClientConfig{Hello: hello, Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		client.Close(nil)
		<-client.Closed()
	}()
	if _, err := client.Dial(t.Context(), gatewayPort); !postern.HasCode(err, postern.CodeServerTooOld) {
		t.Errorf("Dial = %v", err)
	}
	if err := client.Check(t.Context(), gatewayPort); !postern.HasCode(err, postern.CodeServerTooOld) {
		t.Errorf("Check = %v", err)
	}
}

// A connector is no consumer.
func TestConnectorsDoNotConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connector := hello
		connector.Gateway = &link.GatewayHello{Gateway: "sg_1"}
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{Hello: connector})
		defer e.close()
		if _, err := e.client.Dial(t.Context(), gatewayPort); !postern.HasCode(err, postern.CodeServerTooOld) {
			t.Errorf("Dial = %v", err)
		}
	})
}
