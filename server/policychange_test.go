package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// An agent changes the policy of an endpoint that is online: the very next request obeys
// the new one, over connections that were there before, too, and none fails meanwhile.
func TestPolicyChangesWhileOnline(t *testing.T) {
	p := obeying(t, testConfig(t), func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Step")) })
	url, id := p.bound("changing", stepPolicy(0))
	visitor := p.Visitor()
	defer visitor.CloseIdleConnections()
	for step := range 6 {
		text := stepPolicy(step)
		if step == 5 {
			text = "" // none
		}
		if err := p.client.Patch(t.Context(), link.Patch{EndpointID: id, TrafficPolicy: &text}); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(step)
		if text == "" {
			want = ""
		}
		for _, version := range []int{1, 2} {
			if r, body := p.visit(version, url, nil); r.StatusCode != http.StatusOK || body != want {
				t.Errorf("step %d over HTTP/%d: %d %q", step, version, r.StatusCode, body)
			}
		}
		if body := kept(t, visitor, url); body != want {
			t.Errorf("step %d over a connection from before: %q", step, body)
		}
	}
	broken := "on_http_request: [{actions: [{type: x}]}]"
	if err := p.client.Patch(t.Context(), link.Patch{EndpointID: id, TrafficPolicy: &broken}); !postern.HasCode(err, postern.CodePolicyActionUnknown) {
		t.Errorf("a broken policy: %v", err)
	}
	if body := kept(t, visitor, url); body != "" {
		t.Errorf("after a broken policy: %q", body)
	}
}

func stepPolicy(n int) string {
	return fmt.Sprintf("on_http_request: [{actions: [{type: add-headers, config: {headers: {x-step: \"%d\"}}}]}]", n)
}

// kept asks over the connection that visitor has.
func kept(t *testing.T, visitor *http.Client, url string) string {
	t.Helper()
	response, err := visitor.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text string
	_, _ = fmt.Fscan(response.Body, &text)
	return text
}
