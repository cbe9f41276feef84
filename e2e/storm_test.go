package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
)

// stormAgent is an agent of our own link inside the test's process, and what it keeps
// between two sessions.
type stormAgent struct {
	number  int
	client  *native.Client
	welcome link.Welcome
	bound   link.Bound
}

// join connects and binds one endpoint, with whatever is remembered. While nobody
// listens it tries again, as an agent does.
func (a *stormAgent) join(ctx context.Context, address string, config *tls.Config, token string) error {
	conn, err := a.dial(ctx, address, config)
	if err != nil {
		return err
	}
	a.client, a.welcome, err = native.Connect(ctx, conn, native.ClientConfig{
		Logger: slog.New(slog.DiscardHandler),
		Hello: link.Hello{Token: postern.Secret(token), ClientID: a.welcome.ClientID, Cookie: a.welcome.Cookie,
			Agent: postern.AgentInfo{Hostname: fmt.Sprint("machine-", a.number)}},
	})
	if err != nil {
		return fmt.Errorf("agent %d is refused: %w", a.number, err)
	}
	before := a.bound
	a.bound, err = a.client.Bind(ctx, link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}, Name: fmt.Sprint("service ", a.number),
		ID: before.ID, Token: before.Token, Options: postern.EndpointOptions{UpstreamProtocol: postern.HTTP1}})
	if err != nil {
		return fmt.Errorf("agent %d binds nothing: %w", a.number, err)
	}
	if before.Token != "" && a.bound.URL != before.URL {
		return fmt.Errorf("agent %d had %v and has %v", a.number, before.URL, a.bound.URL)
	}
	return nil
}

func (a *stormAgent) dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	dialer := tls.Dialer{Config: config}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("agent %d cannot connect: %w", a.number, err)
		case <-time.After(50*time.Millisecond + rand.N(100*time.Millisecond)):
		}
	}
}

const (
	stormAgents = 2000
	stormSDKs   = 200
	// stormLimit is what is promised.
	stormLimit = 30 * time.Second
)

// B5-32: the server is killed and started again, and two thousand agents of our own, as
// well as some hundred of ngrok's, come back at once over the wire. All have their
// addresses within half a minute, and visitors are served meanwhile.
func TestReconnectStorm(t *testing.T) {
	s := startServer(t, "limits:", "  connections_per_address: 10000")
	upstream, _ := slowBody(t)
	_, url := s.agent("http", upstream, "--url", "https://calm."+domain)
	visitor := s.honestVisitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)

	storm := startHerd(s, stormAgents)
	storm.join()
	t.Logf("%d agents are there for the first time after %v", stormAgents, storm.joined())
	var sdks sync.WaitGroup
	for range stormSDKs {
		sdks.Go(func() {
			if _, err := s.sdk().Listen(sdkContext(t), ngrok.WithMetadata("storm")); err != nil {
				t.Error(err)
			}
		})
	}
	sdks.Wait()
	sessions := s.metric("postern_agent_connections")

	s.process.signal(syscall.SIGKILL)
	s.process.wait(5 * time.Second)
	storm.leave()
	began := time.Now()
	storm.join()
	s.start()
	up := time.Since(began)
	awaitBody(t, visitor, url, "quick", stormLimit)
	took := storm.joined()
	eventually(t, stormLimit, func() error {
		if n := s.metric("postern_agent_connections"); n < sessions {
			return fmt.Errorf("%v of %v agents are back", n, sessions)
		}
		return nil
	})
	everybody := time.Since(began)
	t.Logf("ready %v after the kill; all %d agents back %v, with ngrok's %d %v after it; %v of the server's CPU",
		up, stormAgents, took, stormSDKs, everybody, s.process.cpu())
	if took > stormLimit || everybody > stormLimit {
		t.Errorf("the storm took %v and %v; %v are promised", took, everybody, stormLimit)
	}

	// Once more while the server and the visitors' agent stay, for what visitors notice.
	others := startHonest(t, visitor, url)
	calm := others.calm("after the storm")
	others.bears("during a storm", calm, func() {
		storm.leave()
		storm.join()
		t.Logf("the storm took %v", storm.joined())
	})
}
