package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ngrokapi "github.com/ngrok/ngrok-api-go/v9"
	"github.com/ngrok/ngrok-api-go/v9/endpoints"
	"github.com/ngrok/ngrok-api-go/v9/tunnel_sessions"
	"golang.ngrok.com/ngrok/v2"
	"golang.ngrok.com/ngrok/v2/rpc"
)

func (a apiDriver) driveEndpoints(t *testing.T) {
	c := endpoints.NewClient(a.ClientConfig)
	const policy = `{"on_http_request":[{"actions":[{"type":"custom-response","config":{"status_code":200}}]}]}`
	driven[ngrokapi.Endpoint]{
		shared: true, unfiltered: true, // the agent's are among them
		create: func(ctx context.Context, n int) (*ngrokapi.Endpoint, error) {
			return c.Create(ctx, &ngrokapi.EndpointCreate{URL: fmt.Sprintf("https://e%d.internal", n), Type: "cloud", TrafficPolicy: policy})
		},
		get: c.Get, remove: c.Delete,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.Endpoint] {
			return c.List(&ngrokapi.Paging{Limit: limit})
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.Endpoint, error) {
			return c.Update(ctx, &ngrokapi.EndpointUpdate{ID: id, Description: &text})
		},
	}.drive(t)
}

// commands are what an SDK's handler has heard. It refuses them until it is told to obey:
// the SDK ends its session after what it has obeyed.
type commands struct {
	mu    sync.Mutex
	heard []string
	obeys bool
}

func (c *commands) handle(_ context.Context, _ ngrok.AgentSession, r rpc.Request) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, r.Method())
	if c.obeys {
		return nil, nil
	}
	return nil, errors.New("not now")
}

// take gives what was heard since the last time; what comes is obeyed or not.
func (c *commands) take(obeys bool) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := c.heard
	c.heard, c.obeys = nil, obeys
	return heard
}

// B5-4: sessions are listed and their agents reached through the API, also where the
// session is still with the process that this server has taken over from.
func TestAgentsAreReachedThroughTheAPI(t *testing.T) {
	s := startServer(t)
	heard := &commands{}
	listener := listen(t, s.sdk(ngrok.WithRPCHandler(heard.handle), ngrok.WithAgentMetadata("the sdk's")), ngrok.WithURL("tcp://"))
	go echoAll(listener)
	visitor, err := net.Dial("tcp", "127.0.0.1:"+listener.URL().Port())
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	echo := func() {
		t.Helper()
		_ = visitor.SetDeadline(time.Now().Add(20 * time.Second))
		buffer := make([]byte, 4)
		if _, err := io.WriteString(visitor, "ping"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(visitor, buffer); err != nil {
			t.Fatal(err)
		}
	}
	echo()
	session := s.theSession()
	if session.Metadata != "the sdk's" || session.Transport != "ngrok/2" || session.IP != "127.0.0.1" {
		t.Errorf("session %+v", session)
	}
	s.commands(session.ID, heard)

	s.upgrade()
	echo() // the visitor's connection keeps the session with the old process
	if again := s.theSession(); again.ID != session.ID || again.StartedAt != session.StartedAt || again.Metadata != session.Metadata {
		t.Errorf("after the upgrade there is %+v, want %+v", again, session)
	}
	s.commands(session.ID, heard)
	heard.take(true)
	if err := tunnel_sessions.NewClient(s.apiClient(s.APIKey)).Restart(t.Context(), session.ID); err != nil || !slices.Equal(heard.take(false), []string{rpc.RestartAgentMethod}) {
		t.Errorf("a restart that is obeyed: %v", err)
	}

	// An agent of our own ends when it is told to; it does not update itself.
	ours, _ := s.agent("http", "9", "--metadata", "ours")
	own := ""
	for _, one := range s.sessions() {
		if one.Transport == "postern/1" {
			own = one.ID
		}
	}
	client := tunnel_sessions.NewClient(s.apiClient(s.APIKey))
	if err := client.Update(t.Context(), own); !ngrokapi.IsErrorCode(err, 806) {
		t.Errorf("update: %v", err)
	}
	if err := client.Stop(t.Context(), own); err != nil {
		t.Errorf("stop: %v", err)
	}
	if code := ours.wait(20 * time.Second); code != 0 {
		t.Errorf("the agent ended with status %d", code)
	}
}

func (s *server) sessions() (all []*ngrokapi.TunnelSession) {
	s.t.Helper()
	list := tunnel_sessions.NewClient(s.apiClient(s.APIKey)).List(paging(nil, nil))
	for list.Next(s.t.Context()) {
		all = append(all, list.Item())
	}
	if list.Err() != nil {
		s.t.Fatal(list.Err())
	}
	return all
}

// theSession is the only one.
func (s *server) theSession() *ngrokapi.TunnelSession {
	s.t.Helper()
	all := s.sessions()
	if len(all) != 1 {
		s.t.Fatalf("%d sessions are listed, want one: %+v", len(all), all)
	}
	return all[0]
}

// commands sends every command to a session whose SDK refuses them.
func (s *server) commands(id string, heard *commands) {
	s.t.Helper()
	client := tunnel_sessions.NewClient(s.apiClient(s.APIKey))
	for code, act := range map[int]func(context.Context, string) error{807: client.Restart, 808: client.Stop, 809: client.Update} {
		if err := act(s.t.Context(), id); !ngrokapi.IsErrorCode(err, code) || !strings.Contains(err.Error(), "not now") {
			s.t.Errorf("got %v, want the code %d and the SDK's reason", err, code)
		}
	}
	got := heard.take(false)
	slices.Sort(got)
	if !slices.Equal(got, []string{rpc.RestartAgentMethod, rpc.StopAgentMethod, rpc.UpdateAgentMethod}) {
		s.t.Errorf("the SDK heard %v", got)
	}
	if err := client.Restart(s.t.Context(), "ts_2abcdefghijklmnopqrstuvwxyz"); !ngrokapi.IsNotFound(err) {
		s.t.Errorf("restart of nobody: %v", err)
	}
}
