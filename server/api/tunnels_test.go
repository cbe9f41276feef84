package api_test

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/api"
)

// agents are those that a test has connected.
type agents struct {
	sessions  map[postern.AccountID][]postern.Session
	endpoints map[postern.AccountID][]postern.Endpoint
	heard     []string // the commands
	answer    error    // to commands
}

func (a *agents) SessionsOf(_ context.Context, account postern.AccountID) []postern.Session {
	return slices.Clone(a.sessions[account])
}

func (a *agents) EndpointsOf(account postern.AccountID) []postern.Endpoint {
	return slices.Clone(a.endpoints[account])
}

func (a *agents) Command(_ context.Context, account postern.AccountID, id postern.SessionID, command link.Command) error {
	for _, s := range a.sessions[account] {
		if s.ID == id {
			a.heard = append(a.heard, string(id)+" "+string(command.Action))
			return a.answer
		}
	}
	return &postern.Error{Code: postern.CodeNotFound}
}

const credentialID postern.CredentialID = "cr_000000000000000000000000001"

// newLiveWorld is newWorld with agents of its first account and of another one.
func newLiveWorld(t *testing.T) (*world, *agents) {
	t.Helper()
	live := &agents{}
	w := newWorld(t, func(c *api.Config) { c.Live, c.RequestsPerMinute = live, 1e6 })
	at := time.Date(2031, 2, 3, 4, 5, 6, 789e6, time.UTC)
	for i, account := range []postern.AccountID{w.first.AccountID, "ac_other"} {
		session := postern.Session{
			ID: postern.SessionID(ksuidLike("ts", i)), Account: account, Credential: credentialID,
			Agent:      postern.AgentInfo{Version: "3.9.0", OS: "linux", Metadata: "m"},
			RemoteAddr: "[2001:db8::1]:4711", Transport: "ngrok/2", Region: "local", StartedAt: at,
		}
		put(&live.sessions, account, session)
		put(&live.endpoints, account, postern.Endpoint{
			ID: postern.EndpointID(ksuidLike("ep", i)), Account: account, Credential: credentialID, Session: session.ID,
			URL:  postern.URL{Scheme: postern.HTTPS, Host: "app.example.com"},
			Name: "web", Description: "d", Metadata: "em", ForwardsTo: "http://localhost:8080", StartedAt: at,
		})
	}
	return w, live
}

func put[V any](to *map[postern.AccountID][]V, account postern.AccountID, v V) {
	if *to == nil {
		*to = make(map[postern.AccountID][]V)
	}
	(*to)[account] = append((*to)[account], v)
}

// ksuidLike makes ids that sort as n does.
func ksuidLike(prefix string, n int) string { return fmt.Sprintf("%s_%027d", prefix, n) }

func keysOf(o object) string { return strings.Join(slices.Sorted(maps.Keys(o)), " ") }

func TestTunnelSessions(t *testing.T) {
	w, live := newLiveWorld(t)
	mine, others := ksuidLike("ts", 0), ksuidLike("ts", 1)
	got := w.does(200, "GET", "/tunnel_sessions/"+mine, nil)
	if keys := keysOf(got); keys != "agent_version credential id ip metadata os region started_at transport uri" {
		t.Errorf("keys: %s", keys)
	}
	credential := object{"id": string(credentialID), "uri": base + "/credentials/" + string(credentialID)}
	expected := object{
		"agent_version": "3.9.0", "id": mine, "ip": "2001:db8::1", "metadata": "m", "os": "linux", "region": "local",
		"started_at": "2031-02-03T04:05:06Z", "transport": "ngrok/2", "uri": base + "/tunnel_sessions/" + mine, "credential": credential,
	}
	for key, want := range expected {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if list := w.does(200, "GET", "/tunnel_sessions", nil); !slices.Equal(ids(list, "tunnel_sessions"), []string{mine}) || list["next_page_uri"] != nil {
		t.Errorf("list: %v", list)
	}
	w.refused(404, "", "GET", "/tunnel_sessions/"+others, nil)
	w.refused(404, "", "POST", "/tunnel_sessions", object{})
	w.refused(404, "", "DELETE", "/tunnel_sessions/"+mine, nil)
	w.refused(400, postern.CodeCursorInvalid, "GET", "/tunnel_sessions?before_id=ep_1", nil)

	for _, action := range []string{"restart", "stop", "update"} {
		path := "/tunnel_sessions/" + mine + "/" + action
		live.heard = nil
		w.does(204, "POST", path, object{})
		w.does(204, "POST", path, nil)
		if want := mine + " " + action; !slices.Equal(live.heard, []string{want, want}) {
			t.Errorf("the agent heard %v", live.heard)
		}
		w.refused(400, postern.CodeFieldUnknown, "POST", path, object{"version": "1"})
		w.refused(404, "", "POST", "/tunnel_sessions/"+others+"/"+action, object{})
		w.refused(404, "", "GET", path, nil)
	}
	w.refused(404, "", "POST", "/tunnel_sessions/"+mine+"/explode", object{})
	for status, code := range map[int][]postern.Code{
		400: {"ERR_NGROK_804", "ERR_NGROK_805", "ERR_NGROK_806"},
		502: {"ERR_NGROK_807", "ERR_NGROK_808", "ERR_NGROK_809"},
		504: {"ERR_NGROK_810"},
	} {
		for _, c := range code {
			live.answer = postern.Errorf(c, "its reason")
			if message := w.refused(status, c, "POST", "/tunnel_sessions/"+mine+"/stop", object{}); !strings.Contains(message, "its reason") {
				t.Errorf("%s: %s", c, message)
			}
		}
	}
}

func TestTunnels(t *testing.T) {
	w, _ := newLiveWorld(t)
	mine := ksuidLike("tn", 0)
	got := w.does(200, "GET", "/tunnels/"+mine, nil)
	if keys := keysOf(got); keys != "backends endpoint forwards_to id labels metadata proto public_url region started_at tunnel_session" {
		t.Errorf("keys: %s", keys)
	}
	expected := object{
		"id": mine, "public_url": "https://app.example.com", "proto": "https", "metadata": "em", "forwards_to": "http://localhost:8080",
		"started_at": "2031-02-03T04:05:06Z", "labels": object{}, "backends": []any{},
		"endpoint":       object{"id": ksuidLike("ep", 0), "uri": base + "/endpoints/" + ksuidLike("ep", 0)},
		"tunnel_session": object{"id": ksuidLike("ts", 0), "uri": base + "/tunnel_sessions/" + ksuidLike("ts", 0)},
	}
	for key, want := range expected {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if list := w.does(200, "GET", "/tunnels", nil); !slices.Equal(ids(list, "tunnels"), []string{mine}) {
		t.Errorf("list: %v", list)
	}
	w.refused(404, "", "GET", "/tunnels/"+ksuidLike("tn", 1), nil)
	w.refused(404, "", "GET", "/tunnels/"+ksuidLike("ep", 0), nil)
	w.refused(404, "", "DELETE", "/tunnels/"+mine, nil)
}

// Whatever is connected, in whatever order: pages of any size together hold everything of
// the account once, the newest first.
func TestPagesOfWhatIsLive(t *testing.T) {
	w, live := newLiveWorld(t)
	rapid.Check(t, func(r *rapid.T) {
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 999), 0, 12, rapid.ID[int]).Draw(r, "sessions")
		limit := rapid.IntRange(1, 5).Draw(r, "limit")
		live.sessions[w.first.AccountID] = nil
		var want []string
		for _, n := range numbers {
			put(&live.sessions, w.first.AccountID, postern.Session{ID: postern.SessionID(ksuidLike("ts", n))})
			want = append(want, ksuidLike("ts", n))
		}
		slices.Sort(want)
		slices.Reverse(want)
		var got []string
		next := any(fmt.Sprintf("/tunnel_sessions?limit=%d", limit))
		for next != nil {
			page := w.does(200, "GET", next.(string), nil) //nolint:forcetypeassert // a test
			got = append(got, ids(page, "tunnel_sessions")...)
			next = page["next_page_uri"]
		}
		if !slices.Equal(got, want) {
			r.Fatalf("pages of %d: %v, want %v", limit, got, want)
		}
	})
}

func TestFilteringWhatIsLive(t *testing.T) {
	w, live := newLiveWorld(t)
	put(&live.sessions, w.first.AccountID, postern.Session{ID: postern.SessionID(ksuidLike("ts", 2)), Agent: postern.AgentInfo{OS: "darwin"}})
	put(&live.sessions, w.first.AccountID, postern.Session{ID: postern.SessionID(ksuidLike("ts", 3)), Agent: postern.AgentInfo{OS: "linux"}})
	want := []string{ksuidLike("ts", 3), ksuidLike("ts", 0)}
	path := "/tunnel_sessions?filter=" + url.QueryEscape(`obj.os == "linux"`)
	if got := ids(w.does(200, "GET", path, nil), "tunnel_sessions"); !slices.Equal(got, want) {
		t.Errorf("linux: %v", got)
	}
	first := w.does(200, "GET", path+"&limit=1", nil)
	if got := ids(w.does(200, "GET", first["next_page_uri"].(string), nil), "tunnel_sessions"); !slices.Equal(got, want[1:]) { //nolint:forcetypeassert // a test
		t.Errorf("second page: %v", got)
	}
	path = "/tunnels?filter=" + url.QueryEscape(`obj.tunnel_session.id == "`+ksuidLike("ts", 0)+`"`)
	if got := ids(w.does(200, "GET", path, nil), "tunnels"); !slices.Equal(got, []string{ksuidLike("tn", 0)}) {
		t.Errorf("of a session: %v", got)
	}
}

// What ngrok has deprecated is not there, and nothing says otherwise.
func TestEdgesAndBackendsAreNotThere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/edges/https", "/edges/tls", "/edges/tcp", "/edges/https/edghts_1/routes", "/backends/failover",
		"/backends/http_response", "/backends/static", "/backends/tunnel_group", "/backends/weighted", "/endpoint_configurations"} {
		w.refused(404, "", "GET", path, nil)
		w.refused(404, "", "POST", path, object{})
	}
}
