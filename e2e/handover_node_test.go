package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// B5-4: the Rust core below the Node SDK tries again after 0 and 50 ms, 2.5 s and then
// two minutes. It comes over at its first attempt, every time.
func TestUpgradesAreNotSeenBehindNode(t *testing.T) {
	s := startServer(t)
	agent := s.nodeAgent(s.authtoken, `{"domain":"node.`+domain+`"}`)
	if agent.Error != "" {
		t.Fatalf("%+v", agent)
	}
	v := newVisitors(s)
	for _, change := range []func(*http.Transport){
		func(*http.Transport) {}, // HTTP/2
		func(t *http.Transport) { t.ForceAttemptHTTP2, t.DisableKeepAlives = false, true },
	} {
		transport := s.transport()
		change(transport)
		t.Cleanup(transport.CloseIdleConnections)
		client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
		v.all.Go(func() {
			v.everySoOften(func(i int) error {
				path := fmt.Sprint("/", i)
				response, body, err := tryFetch(client, agent.URL+path)
				v.asked.Add(1)
				if err == nil && body != "node saw GET "+path+" over https" {
					err = fmt.Errorf("%s %q", response.Status, body)
				}
				return err
			}, "Node")
		})
	}
	var old []*process
	for range 5 {
		old = append(old, s.upgrade())
		old[len(old)-1].waitFor("session ended", 30*time.Second)
		<-time.After(apart)
	}
	v.end()
	s.process.waitFor("session started", 10*time.Second)
	for _, p := range old {
		if code := p.wait(60 * time.Second); code != 0 {
			t.Errorf("an old process ended with status %d", code)
		}
	}
	t.Logf("%d requests, %d failures", v.asked.Load(), v.failed.Load())
}
