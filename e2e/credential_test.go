package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/resource"
)

// key is an authtoken that "server keys create" printed.
type key struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

// keys runs "postern server keys" and reads what it prints.
func (s *server) keys(args ...string) key {
	s.t.Helper()
	argv := append([]string{"server", "keys"}, args...)
	output, err := exec.CommandContext(s.t.Context(), posternBinary, append(argv, "--config", s.Config, "--format", "json")...).Output()
	if err != nil {
		s.t.Fatalf("keys %v: %v", args, program.Described(err))
	}
	var made key
	if err := json.Unmarshal(output, &made); err != nil || made.ID == "" {
		s.t.Fatalf("keys %v printed %q: %v", args, output, err)
	}
	return made
}

// as is the server for agents that have another authtoken.
func (s *server) as(token string) *server {
	again, program := *s, *s.Server
	program.Authtoken = token
	again.Server, again.authtoken = &program, token
	return &again
}

// A token with an ACL binds what that covers and nothing else, and is told which: by our
// own agent and by ngrok's SDK alike.
func TestACLOfAToken(t *testing.T) {
	s := startServer(t)
	limited := s.as(s.keys("create", "authtoken", "--acl", "bind:*.customer1."+domain).Token)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "customer 1") }))
	defer page.Close()
	refused := []struct {
		url, code string
	}{
		{"https://customer1." + domain, "ERR_NGROK_316"},
		{"https://evil." + domain, "ERR_NGROK_316"},
		{"https://evil.example.org", "ERR_NGROK_316"},
		{fmt.Sprintf("tcp://tcp.%s:%d", domain, s.TCPFirst), "ERR_NGROK_308"},
		{"tcp://", "ERR_NGROK_356"},
	}

	t.Run("native agent", func(t *testing.T) {
		_, url := limited.agent("http", page.URL, "--url", "https://app.customer1."+domain)
		if _, body := fetch(t, s.visitor(), url); body != "customer 1" {
			t.Errorf("%s answered %q", url, body)
		}
		limited.agent("http", page.URL, "--url", "https://*.deep.customer1."+domain)
		if _, body := fetch(t, s.visitor(), fmt.Sprintf("https://a.b.deep.customer1.%s:%d", domain, s.https)); body != "customer 1" {
			t.Errorf("below the wildcard: %q", body)
		}
		for _, test := range refused {
			kind := "http"
			args := []string{page.URL, "--url", test.url}
			if strings.HasPrefix(test.url, "tcp:") {
				kind = "tcp"
				if args = []string{strings.TrimPrefix(page.URL, "http://")}; test.url != "tcp://" {
					args = append(args, "--url", test.url)
				}
			}
			agent := limited.agentProcess(append([]string{kind}, args...)...)
			eventually(t, 10*time.Second, func() error {
				if !strings.Contains(agent.output(), test.code) {
					return fmt.Errorf("asked for %s the agent says %s", test.url, agent.output())
				}
				return nil
			})
			agent.end()
		}
	})

	t.Run("ngrok-go", func(t *testing.T) {
		agent := limited.sdk()
		serveText(listen(t, agent, ngrok.WithURL("https://sdk.customer1."+domain)), "by the SDK")
		if _, body := fetch(t, s.visitor(), fmt.Sprintf("https://sdk.customer1.%s:%d", domain, s.https)); body != "by the SDK" {
			t.Errorf("answered %q", body)
		}
		for _, test := range refused {
			_, err := agent.Listen(sdkContext(t), ngrok.WithURL(test.url))
			wantCode(t, err, test.code)
		}
	})
}

// soon is the second in which a change of a token is felt, and one more for machines that
// have other things to do.
const soon = 2 * time.Second

// offline waits until a name has no endpoint any more, and wants that soon after began.
func (s *server) offline(name string, began time.Time) {
	s.t.Helper()
	visitor := s.visitor()
	eventually(s.t, 10*time.Second, func() error {
		response, _, err := tryFetch(visitor, fmt.Sprintf("https://%s.%s:%d", name, domain, s.https))
		if err != nil {
			return err
		}
		if code := response.Header.Get("Ngrok-Error-Code"); code != "ERR_NGROK_3200" {
			return fmt.Errorf("%s is still online: %s %s", name, response.Status, code)
		}
		return nil
	})
	if took := time.Since(began); took > soon {
		s.t.Errorf("%s was online for another %v", name, took)
	}
}

// ending is how a listener of the SDK ends.
func ending(listener net.Listener) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- http.Serve(listener, http.NotFoundHandler()) }()
	return ended
}

func awaitCode(t *testing.T, ended <-chan error, code string) {
	t.Helper()
	select {
	case err := <-ended:
		wantCode(t, err, code)
	case <-time.After(10 * time.Second):
		t.Errorf("the listener goes on, want %s", code)
	}
}

// A token that is narrowed over the API loses what it no longer covers within a second,
// and keeps its session and the rest; both wires are told why.
func TestNarrowedToken(t *testing.T) {
	s := startServer(t)
	credentials := client.For(s.api(), resource.Credentials())
	made, err := credentials.Create(t.Context(), resource.CredentialCreate{Description: "customer 1"})
	if err != nil || made.Token == nil {
		t.Fatal(made, err)
	}
	theirs := s.as(*made.Token)
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	native, _ := theirs.agent("http", page.URL, "--url", "https://native."+domain)
	sdk := theirs.sdk()
	serveText(listen(t, sdk, ngrok.WithURL("https://a.customer1."+domain)), "stays")
	gone := ending(listen(t, sdk, ngrok.WithURL("https://b."+domain)))

	rules := []string{"bind:*.customer1." + domain}
	if _, err := credentials.Update(t.Context(), made.ID, resource.CredentialUpdate{ACL: &rules}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.offline("b", began)
	s.offline("native", began)
	awaitCode(t, gone, "ERR_NGROK_316")
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(native.output(), "ERR_NGROK_316") {
			return fmt.Errorf("the agent says %s", tail(native.output(), 2000))
		}
		return nil
	})
	if _, body := fetch(t, s.visitor(), fmt.Sprintf("https://a.customer1.%s:%d", domain, s.https)); body != "stays" {
		t.Errorf("what is covered answers %q", body)
	}
	_, err = sdk.Listen(sdkContext(t), ngrok.WithURL("https://b."+domain))
	wantCode(t, err, "ERR_NGROK_316")

	rules = append(rules, "bind:b."+domain)
	if _, err := credentials.Update(t.Context(), made.ID, resource.CredentialUpdate{ACL: &rules}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		listener, err := sdk.Listen(sdkContext(t), ngrok.WithURL("https://b."+domain))
		if err == nil {
			serveText(listener, "wider")
		}
		return err
	})
}

// During an upgrade the sessions that the old process still has obey what the new one is
// told.
func TestNarrowedTokenDuringAnUpgrade(t *testing.T) {
	s := startServer(t)
	credentials := client.For(s.api(), resource.Credentials())
	made, err := credentials.Create(t.Context(), resource.CredentialCreate{})
	if err != nil || made.Token == nil {
		t.Fatal(made, err)
	}
	sdk := s.as(*made.Token).sdk()
	tcp := listen(t, sdk, ngrok.WithURL("tcp://"))
	go echoAll(tcp)
	gone := ending(listen(t, sdk, ngrok.WithURL("https://b."+domain)))
	conn, err := net.Dial("tcp", "127.0.0.1:"+tcp.URL().Port())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echo := func() error {
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "ping\n"); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, len("ping\n")))
		return err
	}
	if err := echo(); err != nil { // from here on the session is not quiet, and stays where it is
		t.Fatal(err)
	}
	old := s.upgrade()

	rules := []string{"bind:" + tcp.URL().Host}
	if _, err := client.For(s.api(), resource.Credentials()).Update(t.Context(), made.ID, resource.CredentialUpdate{ACL: &rules}); err != nil {
		t.Fatal(err)
	}
	s.offline("b", time.Now())
	awaitCode(t, gone, "ERR_NGROK_316")
	if err := echo(); err != nil || old.exited() {
		t.Errorf("what is covered: %v; the old process has ended: %v", err, old.exited())
	}
	if err := client.For(s.api(), resource.Credentials()).Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for echo() == nil {
		if time.Since(began) > soon {
			t.Fatal("a connection outlives its token")
		}
	}
}

// A service user that is made inactive takes its agents offline, and its agents come back
// when it is active again.
func TestInactiveServiceUser(t *testing.T) {
	s := startServer(t)
	users := client.For(s.api(), resource.ServiceUsers())
	user, err := users.Create(t.Context(), resource.ServiceUserCreate{Name: "gateway of customer 1"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.For(s.api(), resource.Credentials()).Create(t.Context(), resource.CredentialCreate{OwnerID: &user.ID})
	if err != nil || made.Token == nil {
		t.Fatal(made, err)
	}
	theirs := s.as(*made.Token)
	sdk := theirs.sdk()
	gone := ending(listen(t, sdk, ngrok.WithURL("https://sdk."+domain)))
	active := false
	if _, err := users.Update(t.Context(), user.ID, resource.ServiceUserUpdate{Active: &active}); err != nil {
		t.Fatal(err)
	}
	s.offline("sdk", time.Now())
	awaitCode(t, gone, "ERR_NGROK_636")
	theirs.refusesSDK(*made.Token, "ERR_NGROK_636")
	s.offline("sdk", time.Now()) // also now that the first agent has tried to come back
	active = true
	if _, err := users.Update(t.Context(), user.ID, resource.ServiceUserUpdate{Active: &active}); err != nil {
		t.Fatal(err)
	}
	// On names of their own: the first agent comes back by itself, and may take its name.
	serveText(listen(t, theirs.sdk(), ngrok.WithURL("https://another."+domain)), "another")
	eventually(t, 10*time.Second, func() error {
		listener, err := sdk.Listen(sdkContext(t), ngrok.WithURL("https://back."+domain))
		if err == nil {
			serveText(listener, "back")
		}
		return err
	})
	for _, name := range []string{"another", "back"} {
		if _, body := fetch(t, s.visitor(), fmt.Sprintf("https://%s.%s:%d", name, domain, s.https)); body != name {
			t.Errorf("%s answers %q", name, body)
		}
	}
}

// Sessions of a token that is revoked end within a second, whoever they belong to,
// and nobody comes back with it.
func TestRevokedTokenEndsSessions(t *testing.T) {
	s := startServer(t)
	made := s.keys("create", "authtoken")
	theirs := s.as(made.Token)
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	agent, _ := theirs.agent("http", page.URL, "--url", "https://native."+domain)
	gone := ending(listen(t, theirs.sdk(), ngrok.WithURL("https://sdk."+domain)))

	s.keys("revoke", made.ID)
	began := time.Now()
	s.offline("native", began)
	s.offline("sdk", began)
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(agent.output(), "ERR_NGROK_300") {
			return fmt.Errorf("the agent says %s", tail(agent.output(), 2000))
		}
		return nil
	})
	later := theirs.agentProcess("http", page.URL)
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(later.output(), "ERR_NGROK_107") {
			return fmt.Errorf("a later login says %s", tail(later.output(), 2000))
		}
		return nil
	})
	awaitCode(t, gone, "ERR_NGROK_300")
}

// S1-41: what is below a wildcard that the account has reserved is bound without being
// reserved, also elsewhere than below the server's domain.
func TestNamesBelowAReservedWildcard(t *testing.T) {
	s := startServer(t)
	wildcard := resource.ReservedDomainCreate{Domain: "*.customer1.example.org"}
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), wildcard); err != nil {
		t.Fatal(err)
	}
	agent := s.sdk()
	serveText(listen(t, agent, ngrok.WithURL("https://app.customer1.example.org")), "below the wildcard")
	serveText(listen(t, agent, ngrok.WithURL("http://a.b.customer1.example.org")), "deeper")
	for _, name := range []string{"https://customer1.example.org", "https://other.example.org"} {
		_, err := agent.Listen(sdkContext(t), ngrok.WithURL(name))
		wantCode(t, err, "ERR_NGROK_319")
	}
	visitor := s.visitor()
	if _, body := fetch(t, visitor, fmt.Sprintf("http://a.b.customer1.example.org:%d", s.http)); body != "deeper" {
		t.Errorf("answered %q", body)
	}
	// The server's CA may not vouch for names that are not the server's, so nobody can be
	// made to trust it for them.
	secure := fmt.Sprintf("https://app.customer1.example.org:%d", s.https)
	if _, _, err := tryFetch(visitor, secure); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the certificate of a name elsewhere: %v", err)
	}
	transport := s.transport()
	transport.TLSClientConfig.InsecureSkipVerify = true
	defer transport.CloseIdleConnections()
	if _, body := fetch(t, &http.Client{Transport: transport}, secure); body != "below the wildcard" {
		t.Errorf("answered %q", body)
	}
}
