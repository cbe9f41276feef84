package server_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// within is how soon a change of a credential has to be felt.
const within = time.Second

// stoppedEndpoint is what an agent hears of one that the server took offline.
type stoppedEndpoint struct {
	id  string
	why *postern.Error
}

// listening is an agent that tells what it hears.
func (n *node) listening(token postern.Secret) (*native.Client, <-chan stoppedEndpoint) {
	n.t.Helper()
	config := &tls.Config{RootCAs: n.Roots(), ServerName: "127.0.0.1", NextProtos: []string{native.ALPN}, MinVersion: tls.VersionTLS13}
	conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), config)
	if err != nil {
		n.t.Fatal(err)
	}
	heard := make(chan stoppedEndpoint, 10)
	client, _, err := native.Connect(n.t.Context(), conn, native.ClientConfig{
		Hello: link.Hello{Token: token}, Logger: testkit.Logger(n.t),
		OnEndpointStopped: func(id string, why *postern.Error) { heard <- stoppedEndpoint{id, why} },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { client.Close(postern.Errorf(postern.CodeLinkLost, "the test is over")) })
	return client, heard
}

func (n *node) refuses(client *native.Client, url string, code postern.Code) {
	n.t.Helper()
	asked, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		n.t.Fatal(err)
	}
	if bound, err := client.Bind(n.t.Context(), link.BindRequest{URL: asked}); !postern.HasCode(err, code) {
		n.t.Errorf("%s: %+v, %v; want %s", url, bound, err, code)
	}
}

// A credential that is narrowed loses what it no longer covers within a second, and
// nothing else; widened it is good for more at once; revoked it ends the session.
func TestLiveSessionsObeyTheirCredential(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	keys := n.Keys()
	credential, token, err := n.Service().CreateCredential(t.Context(), service.NewCredential{Account: keys.AccountID, Owner: keys.UserID})
	if err != nil {
		t.Fatal(err)
	}
	client, heard := n.listening(token)
	n.online(client, "https://a.c1."+domain, "the page")
	goes := n.online(client, "https://b."+domain, "the page")
	visitor := n.Visitor()
	page := func(host string) (int, string) {
		return n.get(visitor, "https://"+host+"."+domain+"/")
	}
	if status, body := page("b"); status != http.StatusOK || body != "the page" {
		t.Fatalf("before: %d %q", status, body)
	}

	update := func(rules ...string) {
		t.Helper()
		if _, err := n.Service().UpdateCredential(t.Context(), credential.ID, service.CredentialUpdate{ACL: &rules}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	update("bind:*.c1." + domain)
	select {
	case stopped := <-heard:
		if stopped.id != goes.ID || !postern.HasCode(stopped.why, postern.CodeNameNotAllowed) {
			t.Errorf("the agent heard of %s, %v; want %s", stopped.id, stopped.why, goes.ID)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the agent heard nothing")
	}
	if took := time.Since(began); took > within {
		t.Errorf("the narrower ACL took %v", took)
	}
	if status, _ := page("b"); status != http.StatusNotFound {
		t.Errorf("what is not covered answers %d", status)
	}
	if status, body := page("a.c1"); status != http.StatusOK || body != "the page" {
		t.Errorf("what is covered answers %d %q", status, body)
	}
	n.refuses(client, "https://b."+domain, postern.CodeNameNotAllowed)
	n.refuses(client, "tcp://", postern.CodeRandomPortNotAllowed)

	update("bind:*.c1."+domain, "bind:b."+domain)
	n.eventually("the wider ACL is in force", func() error {
		asked, err := postern.ParseURLRequest("https://b."+domain, postern.HTTPS)
		if err == nil {
			_, err = client.Bind(t.Context(), link.BindRequest{URL: asked})
		}
		return err
	})

	began = time.Now()
	if err := n.Service().RevokeCredential(t.Context(), credential.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-client.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session lives on")
	}
	if took := time.Since(began); took > within {
		t.Errorf("the revocation took %v", took)
	}
	if cause := client.Cause(); !postern.HasCode(cause, postern.CodeCredentialRevoked) {
		t.Errorf("the agent was told %v", cause)
	}
	if _, _, err := n.tryAgent(link.Hello{Token: token}); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("the token is still good for %v", err)
	}
}

// S1-22: the agents of a service user end with it within a second, and come back when it
// is active again.
func TestServiceUserIsSuspended(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	by, err := n.Service().AuthenticateKey(t.Context(), postern.Secret(n.Keys().APIKey))
	if err != nil {
		t.Fatal(err)
	}
	uses := n.Service().ServiceUsers()
	bot, err := uses.Create(t.Context(), by, resource.ServiceUserCreate{Name: "gateway of customer 1"})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := n.Service().Credentials().Create(t.Context(), by, resource.CredentialCreate{OwnerID: &bot.ID})
	if err != nil {
		t.Fatal(err)
	}
	token := postern.Secret(*credential.Token)
	client, _ := n.listening(token)
	activate := func(active bool) {
		t.Helper()
		if _, err := uses.Update(t.Context(), by, bot.ID, resource.ServiceUserUpdate{Active: &active}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	activate(false)
	select {
	case <-client.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session lives on")
	}
	if took := time.Since(began); took > within {
		t.Errorf("it took %v", took)
	}
	if cause := client.Cause(); !postern.HasCode(cause, postern.CodeOwnerInactive) {
		t.Errorf("the agent was told %v", cause)
	}
	if _, _, err := n.tryAgent(link.Hello{Token: token}); !postern.HasCode(err, postern.CodeOwnerInactive) {
		t.Errorf("an agent is let in: %v", err)
	}
	activate(true)
	n.listening(token)
}
