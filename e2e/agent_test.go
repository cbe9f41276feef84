package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// agent starts "postern <args>" against the server and waits until it says that
// its endpoint is online. The URL it printed is returned.
func (s *server) agent(args ...string) (*process, string) {
	s.t.Helper()
	p := s.agentProcess(args...)
	return p, p.onlineURL()
}

func (s *server) agentProcess(args ...string) *process {
	s.t.Helper()
	started, err := s.StartAgent(s.connectURL(), nil, nil, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	p := adopt(s.t, started)
	s.agents = append(s.agents, p)
	return p
}

func (p *process) onlineURL() string {
	p.t.Helper()
	urls, err := p.Online(1)
	if err != nil {
		p.t.Fatal(err)
	}
	return urls[0]
}

// fetch gets a URL and returns status, headers and body.
func fetch(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, body, err := tryFetch(client, url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return response, body
}

func tryFetch(client *http.Client, url string) (*http.Response, string, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// awaitBody asks until the URL answers 200 with the wanted body.
func awaitBody(t *testing.T, client *http.Client, url, want string, limit time.Duration) {
	t.Helper()
	eventually(t, limit, func() error {
		response, body, err := tryFetch(client, url)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK || body != want {
			return fmt.Errorf("GET %s: %s %q, want 200 %q", url, response.Status, tail(body, 300), want)
		}
		return nil
	})
}
