package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

const denyAll = "on_http_request:\n- actions:\n  - type: deny\n"

// newEndpointWorld is a world with agents, and with a domain and a TCP address that its
// first account has reserved.
func newEndpointWorld(t *testing.T) (w *world, live *agents, domainID, addressID string) {
	t.Helper()
	live = &agents{}
	holders := func(u postern.URL) (found []postern.Endpoint) {
		for _, all := range live.endpoints {
			for _, e := range all {
				if route.KeyOf(e.URL) == route.KeyOf(u) {
					found = append(found, e)
				}
			}
		}
		return found
	}
	w = newWorldOf(t, func(c *service.Config) { c.Holders = holders }, func(c *api.Config) { c.Live, c.RequestsPerMinute = live, 1e6 })
	made := w.does(201, "POST", "/reserved_domains", object{"domain": "mine.example.com"})
	domainID, _ = made["id"].(string)
	addressID = ksuidLike("ra", 1)
	err := w.store.Write(t.Context(), func(tx store.Tx) error {
		return tx.ReservedAddrs().Create(t.Context(), store.ReservedAddr{Meta: store.Meta{ID: addressID, Account: w.first.AccountID}, Host: "tcp.example.com", Port: 20001, Region: "local"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, live, domainID, addressID
}

func cloud(address string, more ...object) object {
	made := object{"type": "cloud", "url": address, "traffic_policy": denyAll}
	if strings.HasPrefix(address, "tcp:") || strings.HasPrefix(address, "tls:") {
		made["traffic_policy"] = `{"on_tcp_connect":[{"actions":[{"type":"close-connection"}]}]}`
	}
	for _, m := range more {
		for key, value := range m {
			made[key] = value
		}
	}
	return made
}

func TestCloudEndpoints(t *testing.T) {
	w, _, domainID, addressID := newEndpointWorld(t)
	made := w.does(201, "POST", "/endpoints", cloud("https://App.mine.example.com:443", object{"description": "d", "metadata": "m"}))
	id, _ := made["id"].(string)
	const keys = "bindings created_at description domain edge host hostport id metadata name pooling_enabled port principal proto public_url " +
		"region scheme tcp_addr traffic_policy tunnel tunnel_session type updated_at upstream_protocol upstream_url uri url"
	if keysOf(made) != keys {
		t.Errorf("keys: %s", keysOf(made))
	}
	expected := object{
		"url": "https://app.mine.example.com", "public_url": "https://app.mine.example.com", "proto": "https", "scheme": "https",
		"host": "app.mine.example.com", "hostport": "app.mine.example.com:443", "port": 443, "type": "cloud", "bindings": []any{"public"},
		"description": "d", "metadata": "m", "traffic_policy": denyAll, "pooling_enabled": false, "uri": base + "/endpoints/" + id,
		"domain": object{"id": domainID, "uri": base + "/reserved_domains/" + domainID}, "tcp_addr": nil, "tunnel": nil, "edge": nil, "tunnel_session": nil,
		"principal": object{"id": string(w.first.UserID), "uri": ""},
	}
	for key, want := range expected {
		if fmt.Sprint(made[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, made[key], want)
		}
	}
	path := "/endpoints/" + id
	if got := w.does(200, "GET", path, nil); got["url"] != made["url"] {
		t.Errorf("got %v", got)
	}
	changed := w.does(200, "PATCH", path, object{"url": "https://other.mine.example.com", "pooling_enabled": true})
	if changed["host"] != "other.mine.example.com" || changed["pooling_enabled"] != true || changed["traffic_policy"] != denyAll {
		t.Errorf("changed to %v", changed)
	}
	w.refused(400, postern.CodeCloudEndpointUnchanged, "PATCH", path, object{})
	w.refused(400, postern.CodeCloudSchemeFixed, "PATCH", path, object{"url": "http://other.mine.example.com"})
	w.refused(400, postern.CodeCloudNameNotReserved, "PATCH", path, object{"url": "https://yours.example.com"})
	w.refused(400, postern.CodePolicyNotTerminating, "PATCH", path, object{"traffic_policy": "on_http_request: []"})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", path, object{"type": "cloud"})

	if message := w.refused(400, postern.CodeDomainReferenced, "DELETE", "/reserved_domains/"+domainID, nil); !strings.Contains(message, id) {
		t.Errorf("the message does not say by what: %s", message)
	}
	w.does(204, "DELETE", path, nil)
	w.refused(404, "", "GET", path, nil)
	w.refused(404, "", "DELETE", path, nil)
	w.does(204, "DELETE", "/reserved_domains/"+domainID, nil)

	tcp := w.does(201, "POST", "/endpoints", cloud("tcp://tcp.example.com:20001"))
	if fmt.Sprint(tcp["tcp_addr"]) != fmt.Sprint(object{"id": addressID, "uri": base + "/reserved_addrs/" + addressID}) || tcp["domain"] != nil || tcp["hostport"] != "tcp.example.com:20001" {
		t.Errorf("tcp: %v", tcp)
	}
	w.refused(409, postern.CodeConflict, "DELETE", "/reserved_addrs/"+addressID, nil)
	w.does(204, "DELETE", "/endpoints/"+tcp["id"].(string), nil) //nolint:forcetypeassert // a test
	w.does(204, "DELETE", "/reserved_addrs/"+addressID, nil)
	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject == id {
			kinds = append(kinds, e.Type)
		}
	}
	if !slices.Equal(kinds, []postern.EventType{event.EndpointCreated, event.EndpointUpdated, event.EndpointDeleted}) {
		t.Errorf("events %v", kinds)
	}
}

func TestCloudEndpointsAreChecked(t *testing.T) {
	w, _, _, _ := newEndpointWorld(t)
	const mine = "https://a.mine.example.com"
	kubernetes := object{"bindings": []any{"kubernetes"}}
	for name, c := range map[string]struct {
		code postern.Code
		body object
	}{
		"an agent's":            {postern.CodeEndpointTypeInvalid, cloud(mine, object{"type": "agent"})},
		"no type":               {postern.CodeEndpointTypeInvalid, cloud(mine, object{"type": ""})},
		"no scheme":             {postern.CodeCloudSchemeInvalid, cloud("a.mine.example.com")},
		"other scheme":          {postern.CodeCloudSchemeInvalid, cloud("ftp://a.mine.example.com")},
		"no URL":                {postern.CodeCloudSchemeInvalid, cloud("")},
		"no host":               {postern.CodeCloudURLInvalid, cloud("https://")},
		"path":                  {postern.CodeCloudURLInvalid, cloud(mine + "/x")},
		"user":                  {postern.CodeCloudURLInvalid, cloud("https://u@a.mine.example.com")},
		"address":               {postern.CodeCloudURLInvalid, cloud("https://192.0.2.1")},
		"no port for tcp":       {postern.CodeCloudPortInvalid, cloud("tcp://tcp.example.com")},
		"no number for a port":  {postern.CodeCloudPortInvalid, cloud("https://a.mine.example.com:https")},
		"port too large":        {postern.CodeCloudPortInvalid, cloud("tcp://tcp.example.com:65536")},
		"other port":            {postern.CodeCloudPortNotPublic, cloud("https://a.mine.example.com:8443")},
		"http at 443":           {postern.CodeCloudPortNotPublic, cloud("http://a.mine.example.com:443")},
		"not reserved":          {postern.CodeCloudNameNotReserved, cloud("https://b.example.com")},
		"address not reserved":  {postern.CodeCloudNameNotReserved, cloud("tcp://tcp.example.com:20002")},
		"other host of tcp":     {postern.CodeCloudNameNotReserved, cloud("tcp://mine.example.com:20001")},
		"not internal":          {postern.CodeInternalNameInvalid, cloud(mine, object{"bindings": []any{"internal"}})},
		"internal, six parts":   {postern.CodeInternalNameDeep, cloud("https://a.b.c.d.e.internal")},
		"internal, but public":  {postern.CodeCloudFieldInvalid, cloud("https://a.internal", object{"bindings": []any{"public"}})},
		"two bindings":          {postern.CodeCloudFieldInvalid, cloud(mine, object{"bindings": []any{"public", "internal"}})},
		"unknown binding":       {postern.CodeCloudFieldInvalid, cloud(mine, object{"bindings": []any{"private"}})},
		"https in Kubernetes":   {postern.CodeKubernetesSchemeInvalid, cloud("https://web.default", kubernetes)},
		"no namespace":          {postern.CodeCloudURLInvalid, cloud("http://web", kubernetes)},
		"no policy":             {postern.CodePolicyNotTerminating, cloud(mine, object{"traffic_policy": ""})},
		"policy goes on":        {postern.CodePolicyNotTerminating, cloud(mine, object{"traffic_policy": "on_http_request: [{actions: [{type: log, config: {metadata: {a: b}}}]}]"})},
		"policy of http on tls": {postern.CodeCloudPolicyInvalid, cloud("tls://a.mine.example.com", object{"traffic_policy": denyAll})},
		"policy unreadable":     {postern.CodeCloudPolicyInvalid, cloud(mine, object{"traffic_policy": "on_http_request: ["})},
		"no such phase":         {postern.CodeCloudPolicyInvalid, cloud(mine, object{"traffic_policy": "on_udp: []"})},
		"long description":      {postern.CodeFieldInvalid, cloud(mine, object{"description": strings.Repeat("x", 256)})},
	} {
		if message := w.refused(400, c.code, "POST", "/endpoints", c.body); message == "" {
			t.Errorf("%s: no message", name)
		}
	}
	for _, body := range []object{
		cloud("https://*.mine.example.com"), cloud("http://mine.example.com:80"), cloud("https://a.internal:8443"), cloud("tcp://db.internal:5432"),
		cloud("https://*.a.internal"), cloud("http://web.default:8080", kubernetes), cloud("tls://b.mine.example.com"),
	} {
		w.does(201, "POST", "/endpoints", body)
	}
	if list := ids(w.does(200, "GET", "/endpoints?filter="+url.QueryEscape(`"internal" in obj.bindings`), nil), "endpoints"); len(list) != 3 {
		t.Errorf("internal: %v", list)
	}
}

func TestEndpointsShareAURL(t *testing.T) {
	const address = "https://a.mine.example.com"
	pooled := object{"pooling_enabled": true}
	agent := func(w *world, live *agents, scheme postern.Scheme, pooling bool) {
		put(&live.endpoints, w.first.AccountID, postern.Endpoint{ID: "ep_agent", Account: w.first.AccountID,
			URL: postern.URL{Scheme: scheme, Host: "a.mine.example.com"}, Pooling: pooling})
	}
	for name, c := range map[string]struct {
		agent *bool // pooling of an agent's endpoint there; nil: a cloud endpoint's
		first bool  // pooling of what is there
		next  bool
		code  postern.Code
	}{
		"cloud":                 {nil, false, false, postern.CodeCloudEndpointExists},
		"cloud, both":           {nil, true, true, ""},
		"cloud, first not":      {nil, false, true, postern.CodeCloudPoolClosed},
		"cloud, second not":     {nil, true, false, postern.CodeCloudPoolRefused},
		"agent":                 {new(bool), false, false, postern.CodeCloudEndpointExists},
		"agent, both":           {new(bool), true, true, ""},
		"agent that does not":   {new(bool), false, true, postern.CodeCloudPoolClosed},
		"agent that does alone": {new(bool), true, false, postern.CodeCloudPoolRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w, live, _, _ := newEndpointWorld(t)
			if c.agent != nil {
				agent(w, live, postern.HTTPS, c.first)
			} else {
				w.does(201, "POST", "/endpoints", cloud(address, object{"pooling_enabled": c.first}))
			}
			body := cloud(address, object{"pooling_enabled": c.next})
			if c.code != "" {
				w.refused(400, c.code, "POST", "/endpoints", body)
				if c.agent != nil { // what was refused keeps nobody away
					if err := w.service.CheckCloud("ac_other", postern.URL{Scheme: postern.HTTPS, Host: "a.mine.example.com"}, false); err != nil {
						t.Error(err)
					}
				}
				return
			}
			w.does(201, "POST", "/endpoints", body)
		})
	}
	t.Run("tls beside https", func(t *testing.T) { // visitors of both give the same name
		w, live, _, _ := newEndpointWorld(t)
		agent(w, live, postern.TLS, true)
		w.refused(400, postern.CodeCloudEndpointExists, "POST", "/endpoints", cloud(address, pooled))
	})
}

// A cloud endpoint keeps agents away from its URL, for as long as it is there.
func TestCloudEndpointsKeepAgentsAway(t *testing.T) {
	w, _, _, _ := newEndpointWorld(t)
	at := func(host postern.Hostname) postern.URL { return postern.URL{Scheme: postern.HTTPS, Host: host} }
	admits := func(want bool, account postern.AccountID, u postern.URL, pooling bool) {
		t.Helper()
		if err := w.service.CheckCloud(account, u, pooling); (err == nil) != want || err != nil && !postern.HasCode(err, postern.CodeAlreadyOnline) {
			t.Errorf("%s, pooling %v: %v", u, pooling, err)
		}
	}
	account := w.first.AccountID
	admits(true, account, at("a.mine.example.com"), false)
	inside := postern.URL{Scheme: postern.HTTPS, Host: "api.internal"}
	w.does(201, "POST", "/endpoints", cloud("https://api.internal"))
	admits(false, account, inside.Within(account), false)
	admits(true, "ac_other", inside.Within("ac_other"), false) // whose name is another
	made := w.does(201, "POST", "/endpoints", cloud("https://a.mine.example.com"))
	path := "/endpoints/" + made["id"].(string) //nolint:forcetypeassert // a test
	admits(false, account, at("a.mine.example.com"), false)
	admits(false, account, at("a.mine.example.com"), true)
	admits(true, account, at("b.mine.example.com"), false)
	w.does(200, "PATCH", path, object{"pooling_enabled": true})
	admits(false, account, at("a.mine.example.com"), false)
	admits(true, account, at("a.mine.example.com"), true)
	admits(false, "ac_other", at("a.mine.example.com"), true)
	admits(false, account, postern.URL{Scheme: postern.TLS, Host: "a.mine.example.com"}, true)
	w.does(200, "PATCH", path, object{"url": "https://b.mine.example.com", "description": "x"})
	w.does(200, "PATCH", path, object{"description": "y"})
	admits(true, account, at("a.mine.example.com"), false)
	admits(false, account, at("b.mine.example.com"), false)
	w.does(204, "DELETE", path, nil)
	admits(true, account, at("b.mine.example.com"), false)
}

func TestAgentEndpoints(t *testing.T) {
	w, live := newLiveWorld(t)
	mine := ksuidLike("ep", 0)
	got := w.does(200, "GET", "/endpoints/"+mine, nil)
	expected := object{
		"id": mine, "type": "ephemeral", "url": "https://app.example.com", "hostport": "app.example.com:443", "proto": "https", "name": "web",
		"description": "d", "metadata": "em", "upstream_url": "http://localhost:8080", "upstream_protocol": "http1", "bindings": []any{"public"},
		"tunnel":         object{"id": ksuidLike("tn", 0), "uri": base + "/tunnels/" + ksuidLike("tn", 0)},
		"tunnel_session": object{"id": ksuidLike("ts", 0), "uri": base + "/tunnel_sessions/" + ksuidLike("ts", 0)},
		"domain":         nil, "traffic_policy": "", "created_at": "2031-02-03T04:05:06Z",
	}
	for key, want := range expected {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	w.refused(404, "", "GET", "/endpoints/"+ksuidLike("ep", 1), nil)
	w.refused(404, "", "DELETE", "/endpoints/"+mine, nil)
	w.refused(404, "", "PATCH", "/endpoints/"+mine, object{"metadata": "x"})
	w.does(201, "POST", "/endpoints", cloud("https://a.internal"))
	for _, filter := range []string{`obj.type == "agent"`, `obj.type == "ephemeral"`, `obj.url == "https://app.example.com"`, `obj.domain == null && obj.tunnel != null`} {
		if list := ids(w.does(200, "GET", "/endpoints?filter="+url.QueryEscape(filter), nil), "endpoints"); !slices.Equal(list, []string{mine}) {
			t.Errorf("%s: %v", filter, list)
		}
	}
	live.endpoints[w.first.AccountID][0].Credential = "cr_gone"
	if got := w.does(200, "GET", "/endpoints/"+mine, nil); got["principal"] != nil {
		t.Errorf("principal of a credential that is gone: %v", got["principal"])
	}
}

// Pages of any size hold rows and what is live once each, the newest first.
func TestPagesOfRowsAndLiveEndpoints(t *testing.T) {
	w, live := newLiveWorld(t)
	var rows []string
	for i := range 6 {
		made := w.does(201, "POST", "/endpoints", cloud(fmt.Sprintf("https://a%d.internal", i)))
		rows = append(rows, made["id"].(string)) //nolint:forcetypeassert // a test
	}
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(r, "limit")
		live.endpoints[w.first.AccountID] = nil
		want := slices.Clone(rows)
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 999), 0, 8, rapid.ID[int]).Draw(r, "live") {
			id := ksuidLike("ep", n)
			if n%2 == 0 { // around the rows, not only before them
				id = rows[n%len(rows)][:25] + fmt.Sprintf("%05d", n)
			}
			if !slices.Contains(want, id) {
				put(&live.endpoints, w.first.AccountID, postern.Endpoint{ID: postern.EndpointID(id), Account: w.first.AccountID, URL: postern.URL{Scheme: postern.TCP, Host: "tcp.example.com", Port: 1}})
				want = append(want, id)
			}
		}
		slices.Sort(want)
		slices.Reverse(want)
		var got []string
		for next := any(fmt.Sprintf("/endpoints?limit=%d", limit)); next != nil; {
			page := w.does(200, "GET", next.(string), nil) //nolint:forcetypeassert // a test
			got = append(got, ids(page, "endpoints")...)
			next = page["next_page_uri"]
		}
		if !slices.Equal(got, want) {
			r.Fatalf("pages of %d: %v, want %v", limit, got, want)
		}
	})
}
