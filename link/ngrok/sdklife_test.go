package ngrok_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	sdk "golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// accept echoes on the listener until it closes.
func accept(listener sdk.EndpointListener) (done func()) {
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			loop.Go(func() {
				_, _ = io.Copy(conn, conn)
				conn.Close()
			})
		}
	})
	return func() {
		listener.Close()
		loop.Wait()
	}
}

// roundTrip sends text on a fresh stream and wants it back.
func roundTrip(t *testing.T, session link.Session, id, text string) {
	t.Helper()
	stream, err := session.Open(t.Context(), link.Header{Endpoint: id, Scheme: postern.TCP}, []byte(text))
	if err != nil {
		t.Error(err)
		return
	}
	defer stream.Close()
	if err := stream.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(stream); err != nil || string(got) != text {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSDKServesABurst(t *testing.T) {
	// wire.md §2.1-2: 600 visitors at once used to lose ten.
	h := startHost(t)
	a, admitted := h.connect(t)
	listener, err := a.Listen(t.Context(), sdk.WithURL("tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer accept(listener)()
	id := admitted.Bound()[0].ID
	var visitors sync.WaitGroup
	for range 600 {
		visitors.Go(func() { roundTrip(t, admitted.Session, id, "hello") })
	}
	visitors.Wait()
}

func TestSDKComesBackWithItsNames(t *testing.T) {
	h := startHost(t)
	a, first := h.connect(t)
	for _, u := range []string{"https://", "tcp://", "tls://tls.test"} {
		listener, err := a.Listen(t.Context(), sdk.WithURL(u))
		if err != nil {
			t.Fatal(err)
		}
		defer accept(listener)()
	}
	before := first.Bound()

	start := time.Now()
	h.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	second, err := h.registrar.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if second.Welcome.ClientID != first.Welcome.ClientID {
		t.Errorf("the client id %q became %q", first.Welcome.ClientID, second.Welcome.ClientID)
	}
	<-first.Released()
	if err := second.AwaitBound(ctx, len(before)); err != nil {
		t.Fatal(err)
	}
	t.Logf("back after %v", time.Since(start))
	urls := map[string]string{}
	for _, bound := range second.Bound() {
		urls[bound.ID] = bound.PublicURL
	}
	for _, bound := range before {
		if urls[bound.ID] != bound.PublicURL {
			t.Errorf("%s (%s) came back as %q", bound.PublicURL, bound.ID, urls[bound.ID])
		}
	}
	for _, bound := range before {
		roundTrip(t, second.Session, bound.ID, "again")
	}
}

func TestSDKCommands(t *testing.T) {
	h := startHost(t)
	heard := make(chan string, 3)
	_, admitted := h.connect(t, sdk.WithRPCHandler(func(_ context.Context, _ sdk.AgentSession, r rpc.Request) ([]byte, error) {
		heard <- r.Method()
		if r.Method() == rpc.UpdateAgentMethod {
			return nil, errors.New("built from source")
		}
		return nil, nil
	}))
	err := admitted.Session.Command(t.Context(), link.Command{Action: link.Update})
	if !postern.HasCode(err, postern.CodeCommandFailed) || postern.AsError(err).Message != "built from source" {
		t.Errorf("update: %v", err)
	}
	if got := <-heard; got != rpc.UpdateAgentMethod {
		t.Errorf("heard %s", got)
	}
	if err := admitted.Session.Command(t.Context(), link.Command{Action: link.Stop}); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := <-heard; got != rpc.StopAgentMethod {
		t.Errorf("heard %s", got)
	}
	<-admitted.Released() // the SDK closes its session after a Stop
}

func TestSDKWithoutHandlersRefusesCommands(t *testing.T) {
	h := startHost(t)
	_, admitted := h.connect(t)
	err := admitted.Session.Command(t.Context(), link.Command{Action: link.Restart})
	if !postern.HasCode(err, postern.CodeRestartUnsupported) || postern.AsError(err).Message == "" {
		t.Errorf("got %v", err)
	}
}

func TestSDKHearsThatAnEndpointStopped(t *testing.T) {
	h := startHost(t)
	a, admitted := h.connect(t)
	listener, err := a.Listen(t.Context(), sdk.WithURL("https://app.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := admitted.Session.StopEndpoint(t.Context(), admitted.Bound()[0].ID, postern.Errorf(postern.CodeCredentialRevoked, "revoked")); err != nil {
		t.Fatal(err)
	}
	_, err = listener.Accept()
	t.Logf("the SDK reports %v", err)
	if err == nil {
		t.Error("the listener lives on")
	}
	if _, err := admitted.Session.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSDKDisconnects(t *testing.T) {
	h := startHost(t)
	a, admitted := h.connect(t)
	if _, err := a.Listen(t.Context(), sdk.WithURL("https://app.test")); err != nil {
		t.Fatal(err)
	}
	if err := a.Disconnect(); err != nil {
		t.Fatal(err)
	}
	<-admitted.Released()
	if owner := h.registrar.Owner(postern.URL{Scheme: postern.HTTPS, Host: "app.test"}); owner != nil {
		t.Error("still online")
	}
}
