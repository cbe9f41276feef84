package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// secretService answers with a secret, and holds "/hold" open until the visitor leaves.
func secretService(t *testing.T, secret string) (port string) {
	return service(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Secret", secret)
		_, _ = io.WriteString(w, strings.Repeat(secret+" ", 2000))
		if r.URL.Path == "/hold" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
}

// tell sends a secret in every part of a request, and reads the answer, of one that is held
// open the beginning.
func tell(t *testing.T, client *http.Client, url, secret, want string) (leave func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url+"?q="+secret, strings.NewReader(strings.Repeat(secret+" ", 2000)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1000*(len(want)+1))
	if _, err := io.ReadFull(response.Body, answer); err != nil || strings.Count(string(answer), want) != 1000 {
		t.Fatalf("POST %s: %s, %v", url, response.Status, err)
	}
	return func() { response.Body.Close() }
}

// S1-2, S0-45, S3-8: TLS that ends at the agent is nobody else's: neither what passes the
// server's ports nor what its process has in memory holds a word of request or answer. That
// the search finds what is there, the agent, the way from it to the service, and an
// endpoint whose TLS ends at the server show.
func TestServerSeesNothing(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	packets := startCapture(t, "lo")
	s := startServer(t)
	asked, answered := "asked-"+rand.Text(), "answered-"+rand.Text()
	port := secretService(t, answered)
	agent, _ := s.agent("tls", port, "--url", "tls://private."+domain, "--terminate-at", "agent")
	private := fmt.Sprintf("https://private.%s:%d", domain, s.https)
	client := s.visitor()
	for i := range 20 {
		tell(t, client, private+"/"+strconv.Itoa(i), asked, answered)()
	}
	eventually(t, 30*time.Second, func() error {
		// Whatever buffers it passes, it passes them while it is looked for.
		leave := tell(t, client, private+"/hold", asked, answered)
		defer leave()
		for text, n := range inMemory(t, s.process.PID(), asked, answered) {
			if n > 0 {
				t.Fatalf("%q is %d times in the server's memory", text, n)
			}
		}
		for text, n := range inMemory(t, agent.PID(), asked, answered) {
			if n == 0 {
				return fmt.Errorf("%q is not in the agent's memory, so the search proves nothing", text)
			}
		}
		return nil
	})
	upstream, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{asked, answered} {
		if size, n := packets.of(s.https, text); n > 0 || size < 20*2*len(text)*2000 {
			t.Errorf("%q is %d times in the %d bytes to and from the server", text, n, size)
		}
		if _, n := packets.of(upstream, text); n == 0 {
			t.Errorf("%q is not in what the agent and the service say to each other, so the capture proves nothing", text)
		}
		if strings.Contains(s.process.output(), text) {
			t.Errorf("%q is in the server's log", text)
		}
	}

	shown, told := "shown-"+rand.Text(), "told-"+rand.Text()
	s.agent("tls", secretService(t, told), "--url", "tls://open."+domain, "--terminate-at", "edge")
	eventually(t, 30*time.Second, func() error {
		leave := tell(t, client, fmt.Sprintf("https://open.%s:%d/hold", domain, s.https), shown, told)
		defer leave()
		for text, n := range inMemory(t, s.process.PID(), shown, told) {
			if n == 0 {
				return fmt.Errorf("%q is not in the memory of the server that ends TLS, so the search proves nothing", text)
			}
		}
		return nil
	})
}
