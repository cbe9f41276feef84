package edge_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// patient starts a site whose visitors wait for what was lost a moment ago.
func patient(t *testing.T) (*site, *route.Recent) {
	recent := new(route.Recent)
	return start(t, func(c *edge.Config) { c.Recent = recent }), recent
}

func saying(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, text)
	}
}

// clear takes every route out of force.
func (s *site) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routed = nil
	table, err := route.New(nil)
	must(s.t, err)
	s.routes.Store(table)
}

// A request for a name that was lost a moment ago is answered once the name is back,
// on every kind of path.
func TestRequestsWaitForANameThatReturns(t *testing.T) {
	s, recent := patient(t)
	addr := s.upstream(saying("back"))
	for what, client := range map[string]*http.Client{"http1": s.client("http/1.1"), "http2": s.client("h2")} {
		t.Run(what, func(t *testing.T) {
			url := postern.URL{Scheme: postern.HTTPS, Host: "app." + domain}
			recent.Lose(url)
			var answers sync.WaitGroup
			for range 5 {
				answers.Go(func() {
					response, err := client.Post("https://app."+domain+"/x", "text/plain", strings.NewReader("body"))
					if err != nil {
						t.Error(err)
						return
					}
					defer response.Body.Close()
					if body, _ := io.ReadAll(response.Body); response.StatusCode != 200 || string(body) != "back" {
						t.Errorf("%s %q", response.Status, body)
					}
				})
			}
			<-time.After(50 * time.Millisecond) // so that they do wait; they pass without
			s.serve("https://app."+domain, addr)
			answers.Wait()
			s.clear()
		})
	}
}

// A member whose session is over fails before anything was sent: the request waits
// for another one, on the same route or a new one.
func TestRequestsWaitForAnotherSession(t *testing.T) {
	s, recent := patient(t)
	addr := s.upstream(saying("moved"))
	s.serve("https://app."+domain, addr, func(m *member) { m.refuse = &postern.Error{Code: postern.CodeLinkDraining} })
	time.AfterFunc(50*time.Millisecond, func() {
		recent.Lose(postern.URL{Scheme: postern.HTTPS, Host: "app." + domain})
		s.clear()
		s.serve("https://app."+domain, addr)
	})
	response, err := s.client().Get("https://app." + domain)
	must(t, err)
	defer response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("%s", response.Status)
	}
}

// Nobody waits for a name that was never there, or was taken offline on purpose, and
// not for longer than it may take.
func TestNobodyWaitsInVain(t *testing.T) {
	s, recent := patient(t)
	url := postern.URL{Scheme: postern.HTTPS, Host: "app." + domain}
	get := func() time.Duration {
		began := time.Now()
		response, err := s.client().Get("https://app." + domain)
		must(t, err)
		defer response.Body.Close()
		if response.StatusCode != 404 || response.Header.Get("ngrok-error-code") != "ERR_NGROK_3200" {
			t.Errorf("%s %v", response.Status, response.Header)
		}
		return time.Since(began)
	}
	if took := get(); took > time.Second {
		t.Errorf("a name that was never there: %v", took)
	}
	recent.Lose(url)
	recent.Forget(url)
	if took := get(); took > time.Second {
		t.Errorf("a name that was taken offline: %v", took)
	}
	recent.Lose(url)
	if took := get(); took < route.ReturnTime-time.Second || took > route.ReturnTime+2*time.Second {
		t.Errorf("a name that did not return: %v", took)
	}
}

// Who waits for a name already is told as soon as it turns out that it will not come back.
func TestWaitingEndsWithHope(t *testing.T) {
	s, recent := patient(t)
	url := postern.URL{Scheme: postern.HTTPS, Host: "app." + domain}
	recent.Lose(url)
	answered := make(chan *http.Response, 1)
	began := time.Now()
	go func() {
		response, err := s.client().Get("https://app." + domain)
		if err != nil {
			t.Error(err)
			response = new(http.Response)
		}
		answered <- response
	}()
	// Until it waits there is nothing to see; it is forgotten again and again.
	for {
		select {
		case response := <-answered:
			if response.StatusCode != http.StatusNotFound {
				t.Errorf("%s", response.Status)
			}
			if response.Body != nil {
				response.Body.Close()
			}
			if took := time.Since(began); took >= route.ReturnTime {
				t.Errorf("who waited was told after %v", took)
			}
			return
		case <-time.After(50 * time.Millisecond):
			recent.Forget(url)
		}
	}
}

// A TCP endpoint's port stays open while its agent may come back, and who connects
// meanwhile is served then.
func TestPortsWait(t *testing.T) {
	s, recent := patient(t)
	port := uint16(ports.For(t, 1).First)
	must(t, s.edge.OpenPort(postern.TCP, port))
	url := postern.URL{Scheme: postern.TCP, Host: "tcp." + domain, Port: port}
	recent.Lose(url)
	s.edge.ClosePort(postern.TCP, port, true)
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	must(t, err)
	defer conn.Close()
	must(t, s.edge.OpenPort(postern.TCP, port))
	s.serve(url.String(), rawUpstream(t, echo))
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Write([]byte("hello"))
	must(t, err)
	got := make([]byte, 5)
	_, err = io.ReadFull(conn, got)
	must(t, err)
	if string(got) != "hello" {
		t.Errorf("%q", got)
	}
	s.edge.ClosePort(postern.TCP, port, false)
}
