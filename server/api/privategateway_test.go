package api_test

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// connected is what is live of gateways, as the server would say it.
type connected struct {
	mu     sync.Mutex
	states map[string]api.GatewayState
}

func (c *connected) StateOf(_ context.Context, id string) api.GatewayState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[id]
}

func (c *connected) set(id string, state api.GatewayState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[id] = state
}

// newGatewayWorld is newWorld whose gateways may listen where rules say; "" is where they
// may by default.
func newGatewayWorld(t *testing.T, rules string) (*world, *connected) {
	t.Helper()
	permitted := allow.Loopback()
	if rules != "" {
		permitted = nil
		for rule := range strings.FieldsSeq(rules) {
			place, err := allow.ParsePlace(rule)
			if err != nil {
				t.Fatal(err)
			}
			permitted = append(permitted, place)
		}
	}
	live := &connected{states: make(map[string]api.GatewayState)}
	return newWorldOf(t, func(c *service.Config) {
		c.Gateways = service.GatewayConfig{Listen: func() allow.Listen { return permitted }, Fingerprint: func() string { return "OHclTPr2X1+S=" }}
		c.PublicPort = func(postern.Scheme) uint16 { return 8443 }
	}, func(c *api.Config) { c.Gateways, c.RequestsPerMinute = live, 1e6 }), live
}

var gatewayPath = regexp.MustCompile(`^sg_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestPrivateGateways(t *testing.T) {
	w, _ := newGatewayWorld(t, "")
	made := w.does(201, "POST", "/private_gateways", object{"name": "Production", "description": "d", "metadata": "m"})
	id, path, token := text(made, "id"), text(made, "path"), text(made, "token")
	listen := list(made["listen"])
	tokens, _ := made["tokens"].([]any)
	if len(listen) != 1 || len(tokens) != 1 || !gatewayPath.MatchString(path) || !strings.HasPrefix(id, "pgw_") {
		t.Fatalf("made %v", made)
	}
	if addr, err := netip.ParseAddr(listen[0]); err != nil || !netip.MustParsePrefix("127.64.0.0/10").Contains(addr) {
		t.Errorf("it listens on %v", listen)
	}
	want := object{
		"id": id, "uri": base + "/private_gateways/" + id, "created_at": made["created_at"], "description": "d", "metadata": "m",
		"name": "production", "path": path, "address": "https://gateway.example.com:8443/" + path, "domain": nil, "listen": []any{listen[0]},
		"ports": []any{}, "hold": float64(10), "conflict": "refuse", "insecure": false, "consumers": []any{}, "fingerprint": "OHclTPr2X1+S=",
		"token": token, "tokens": tokens, "connectors": []any{}, "endpoints": []any{},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	want["token"] = nil
	if diff := cmp.Diff(want, w.does(200, "GET", "/private_gateways/"+id, nil)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	changed := w.does(200, "PATCH", "/private_gateways/"+id, object{
		"name": "stage-2", "description": "", "ports": []any{"8081", "5353-5400/udp", "*/tcp"}, "hold": 0, "conflict": "pool", "insecure": true, "consumers": []any{"10.1.0.0/16", "::1"}})
	maps.Copy(want, object{"name": "stage-2", "description": "", "ports": []any{"8081", "5353-5400/udp", "*/tcp"}, "hold": float64(0), "conflict": "pool",
		"insecure": true, "consumers": []any{"10.1.0.0/16", "::1/128"}})
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	w.does(204, "DELETE", "/private_gateways/"+id, nil)
	w.refused(404, "", "GET", "/private_gateways/"+id, nil)
	first, _ := tokens[0].(object)
	w.refused(404, "", "GET", "/private_gateway_tokens/"+text(first, "id"), nil)
	w.told(id, event.GatewayCreated, event.GatewayUpdated, event.GatewayDeleted)
	w.told(text(first, "id"), event.GatewayTokenCreated, event.GatewayTokenDeleted)
	w.kept(strings.TrimPrefix(token, "sgt_"))
}

// A token is shown once, admits connectors of its gateway alone, and can be rotated.
func TestPrivateGatewayTokens(t *testing.T) {
	w, _ := newGatewayWorld(t, "")
	gateway := w.does(201, "POST", "/private_gateways", object{"name": "a"})
	id := text(gateway, "id")
	w.connects(id, text(gateway, "token"), true)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	made := w.does(201, "POST", "/private_gateway_tokens", object{"gateway_id": id, "description": "d", "metadata": "m",
		"ports": []any{"8081", "53-53/udp"}, "targets": []any{"DB.corp.example:5432", "10.0.0.0/8:*"}, "expires_at": soon})
	tokenID, token := text(made, "id"), text(made, "token")
	want := object{
		"id": tokenID, "uri": base + "/private_gateway_tokens/" + tokenID, "created_at": made["created_at"], "description": "d", "metadata": "m",
		"gateway": object{"id": id, "uri": base + "/private_gateways/" + id}, "token": token,
		"ports": []any{"8081", "53/udp"}, "targets": []any{"db.corp.example:5432", "10.0.0.0/8:*"}, "expires_at": soon,
	}
	if diff := cmp.Diff(want, made); diff != "" || !strings.HasPrefix(tokenID, "pgt_") || !strings.HasPrefix(token, "sgt_") {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	want["token"] = nil
	path := "/private_gateway_tokens/" + tokenID
	if diff := cmp.Diff(want, w.does(200, "GET", path, nil)); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
	w.connects(id, token, true)
	w.connects("pgw_other", token, false)
	w.agent(token, postern.CodeTokenMalformed)
	shown := w.does(200, "GET", "/private_gateways/"+id, nil)
	if got := ids(shown, "tokens"); len(got) != 2 || !slices.Contains(got, tokenID) {
		t.Errorf("the gateway's tokens are %v", got)
	}
	byGateway := filtered("/private_gateway_tokens", `obj.gateway.id == "`+id+`" && "8081" in obj.ports`)
	if got := ids(w.does(200, "GET", byGateway, nil), "private_gateway_tokens"); !slices.Equal(got, []string{tokenID}) {
		t.Errorf("filtered: %v", got)
	}

	rotated := w.does(200, "POST", path+"/rotate", object{"overlap": "1h"})
	w.connects(id, token, true)
	w.connects(id, text(rotated, "token"), true)
	third := text(w.does(200, "POST", path+"/rotate", object{"overlap": "0s"}), "token")
	w.connects(id, token, false)
	w.connects(id, text(rotated, "token"), false)
	w.connects(id, third, true)
	w.refused(400, postern.CodeFieldInvalid, "POST", path+"/rotate", object{"overlap": "soon"})

	changed := w.does(200, "PATCH", path, object{"ports": []any{}, "targets": []any{"*:443"}, "expires_at": nil, "description": ""})
	want["ports"], want["targets"], want["expires_at"], want["description"] = []any{}, []any{"*:443"}, nil, ""
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	w.does(204, "DELETE", path, nil)
	w.connects(id, third, false)
	w.refused(404, "", "POST", path+"/rotate", object{})
	w.told(tokenID, event.GatewayTokenCreated, event.GatewayTokenRotated, event.GatewayTokenRotated, event.GatewayTokenUpdated, event.GatewayTokenDeleted)
	for _, secret := range []string{token, text(rotated, "token"), third} {
		w.kept(strings.TrimPrefix(secret, "sgt_"))
	}
}

// connects wants a connector with a token to be admitted to a gateway, or not.
func (w *world) connects(gateway, token string, want bool) {
	w.t.Helper()
	_, tokens, err := w.service.Gateways(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = service.AdmitGatewayToken(postern.Secret(token), gateway, time.Now(), func(id string) (store.GatewayToken, bool) {
		i := slices.IndexFunc(tokens, func(k store.GatewayToken) bool { return k.ID == id })
		if i < 0 {
			return store.GatewayToken{}, false
		}
		return tokens[i], true
	})
	if (err == nil) != want {
		w.t.Errorf("a connector of %s: %v, want it admitted: %v", gateway, err, want)
	}
}

func TestPrivateGatewaysAreChecked(t *testing.T) {
	w, _ := newGatewayWorld(t, "127.0.0.0/8 127.0.0.9:80-90 192.0.2.0/24 0.0.0.0")
	path := "/private_gateways/" + text(w.does(201, "POST", "/private_gateways", object{"name": "first", "listen": []any{"127.0.0.9"}}), "id")
	tokenPath := "/private_gateway_tokens"
	for name, c := range map[string]struct {
		code postern.Code
		body object
	}{
		"a name with a dot":          {postern.CodeValueInvalid, object{"name": "a.b"}},
		"a wildcard":                 {postern.CodeValueInvalid, object{"name": "*"}},
		"a name with an underscore":  {postern.CodeValueInvalid, object{"name": "sg_1"}},
		"an empty name":              {postern.CodeValueInvalid, object{"name": ""}},
		"a long name":                {postern.CodeValueInvalid, object{"name": strings.Repeat("x", 64)}},
		"an unknown conflict":        {postern.CodeValueInvalid, object{"conflict": "merge"}},
		"a long hold":                {postern.CodeValueInvalid, object{"hold": 301}},
		"a negative hold":            {postern.CodeValueInvalid, object{"hold": -1}},
		"an address with a port":     {postern.CodeValueInvalid, object{"listen": []any{"127.0.0.1:80"}}},
		"a name to listen on":        {postern.CodeValueInvalid, object{"listen": []any{"localhost"}}},
		"an address with a zone":     {postern.CodeValueInvalid, object{"listen": []any{"fe80::1%eth0"}}},
		"multicast":                  {postern.CodeValueInvalid, object{"listen": []any{"224.0.0.1"}}},
		"too many addresses":         {postern.CodeValueInvalid, object{"listen": slices.Repeat([]any{"127.0.0.1"}, 17)}},
		"an address not permitted":   {postern.CodeGatewayListenRefused, object{"listen": []any{"10.0.0.1"}}},
		"IPv6, not permitted":        {postern.CodeGatewayListenRefused, object{"listen": []any{"::1"}}},
		"another machine's address":  {postern.CodeGatewayAddressUnusable, object{"listen": []any{"192.0.2.1"}}},
		"a port not permitted":       {postern.CodeGatewayListenRefused, object{"listen": []any{"127.0.0.10"}, "ports": []any{"443"}}},
		"a range partly permitted":   {postern.CodeGatewayListenRefused, object{"listen": []any{"127.0.0.10"}, "ports": []any{"1000-2000"}}},
		"a rule that is none":        {postern.CodeRuleInvalid, object{"ports": []any{"80/sctp"}}},
		"a network with host bits":   {postern.CodeValueInvalid, object{"consumers": []any{"10.0.0.1/8"}}},
		"a network that is none":     {postern.CodeValueInvalid, object{"consumers": []any{"office"}}},
		"a domain that is not ours":  {postern.CodeGatewayDomainInvalid, object{"domain": "gw.other.org"}},
		"a domain that is none":      {postern.CodeGatewayDomainInvalid, object{"domain": "a..b"}},
		"an unknown field":           {postern.CodeFieldUnknown, object{"path": "sg_1"}},
		"a long text for people":     {postern.CodeFieldInvalid, object{"description": strings.Repeat("x", 256)}},
		"hold that is no number":     {postern.CodeValueInvalid, object{"hold": "10s"}},
		"ports that are no list":     {postern.CodeValueInvalid, object{"ports": "8081"}},
		"all addresses, with others": {postern.CodeGatewayAddressTaken, object{"listen": []any{"0.0.0.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			status := c.code.Entry().Status
			creation := object{"name": "second"}
			maps.Copy(creation, c.body)
			w.refused(status, c.code, "POST", "/private_gateways", creation)
			if c.code != postern.CodeGatewayAddressTaken {
				w.refused(status, c.code, "PATCH", path, c.body)
			}
		})
	}
	w.refused(400, postern.CodeValueInvalid, "POST", "/private_gateways", object{})
	w.refused(409, postern.CodeGatewayNameTaken, "POST", "/private_gateways", object{"name": "FIRST"})
	w.refused(409, postern.CodeGatewayAddressTaken, "POST", "/private_gateways", object{"name": "second", "listen": []any{"127.0.0.8", "::ffff:127.0.0.9"}})
	second := w.does(201, "POST", "/private_gateways", object{"name": "second", "listen": []any{"127.0.0.10", "127.0.0.10", "127.0.0.11"}, "ports": []any{"*"}})
	if got := list(second["listen"]); !slices.Equal(got, []string{"127.0.0.10", "127.0.0.11"}) {
		t.Errorf("it listens on %v", got)
	}
	w.refused(409, postern.CodeGatewayNameTaken, "PATCH", path, object{"name": "second"})
	w.refused(409, postern.CodeGatewayAddressTaken, "PATCH", path, object{"listen": []any{"127.0.0.10"}})
	w.does(200, "PATCH", path, object{"name": "first", "listen": []any{"127.0.0.9"}, "ports": []any{"80-90", "1024-2000"}}) // what it has
	other := w.stranger()
	other.does(201, "POST", "/private_gateways", object{"name": "first"}) // a name is an account's
	other.refused(409, postern.CodeGatewayAddressTaken, "POST", "/private_gateways", object{"name": "second", "listen": []any{"127.0.0.9"}})

	gateway := strings.TrimPrefix(path, "/private_gateways/")
	for _, body := range []object{{"gateway_id": "pgw_none"}, {"gateway_id": text(other.does(201, "POST", "/private_gateways", object{"name": "third"}), "id")}} {
		w.refused(404, postern.CodeGatewayUnknown, "POST", tokenPath, body)
	}
	w.refused(400, postern.CodeValueInvalid, "POST", tokenPath, object{})
	for _, body := range []object{{"ports": []any{"0"}}, {"targets": []any{"db"}}} {
		body["gateway_id"] = gateway
		w.refused(400, postern.CodeRuleInvalid, "POST", tokenPath, body)
	}
	for _, at := range []string{"2020-01-01T00:00:00Z", "tomorrow"} {
		w.refused(400, postern.CodeValueInvalid, "POST", tokenPath, object{"gateway_id": gateway, "expires_at": at})
	}
	for _, mine := range []string{path, tokenPath + "/" + text(w.does(201, "POST", tokenPath, object{"gateway_id": gateway}), "id")} {
		other.refused(404, "", "GET", mine, nil)
		other.refused(404, "", "PATCH", mine, object{"description": "x"})
		other.refused(404, "", "DELETE", mine, nil)
	}
}

// A port that another process holds is refused when the gateway names it, and addresses
// that stand for all of the machine's need ports that tell gateways apart.
func TestPrivateGatewaysListen(t *testing.T) {
	w, _ := newGatewayWorld(t, "127.0.0.0/8 0.0.0.0 [::]:* ::1")
	holder, err := net.Listen("tcp", "127.0.0.12:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	_, port, _ := net.SplitHostPort(holder.Addr().String())
	message := w.refused(409, postern.CodeGatewayAddressInUse, "POST", "/private_gateways", object{"name": "a", "listen": []any{"127.0.0.12"}, "ports": []any{port}})
	if !strings.Contains(message, port) || !strings.Contains(message, "127.0.0.12") {
		t.Errorf("the message is %q", message)
	}
	w.does(201, "POST", "/private_gateways", object{"name": "a", "listen": []any{"127.0.0.12"}, "ports": []any{port + "/udp"}})
	w.refused(409, postern.CodeGatewayAddressTaken, "POST", "/private_gateways", object{"name": "b", "listen": []any{"0.0.0.0"}, "ports": []any{port}})
	w.refused(409, postern.CodeGatewayAddressTaken, "POST", "/private_gateways", object{"name": "b", "listen": []any{"::"}})
	every := w.does(201, "POST", "/private_gateways", object{"name": "b", "listen": []any{"0.0.0.0"}, "ports": []any{"65535/tcp"}})
	w.refused(409, postern.CodeGatewayAddressTaken, "POST", "/private_gateways", object{"name": "c"})
	w.does(201, "POST", "/private_gateways", object{"name": "c", "listen": []any{"::1"}}) // 0.0.0.0 has no IPv6
	w.does(204, "DELETE", "/private_gateways/"+text(every, "id"), nil)
	one := w.does(201, "POST", "/private_gateways", object{"name": "d"})
	again := w.does(200, "PATCH", "/private_gateways/"+text(one, "id"), object{"listen": []any{}})
	if !slices.Equal(list(one["listen"]), list(again["listen"])) {
		t.Errorf("an address of its own changed from %v to %v", one["listen"], again["listen"])
	}
}

// What the operator no longer permits keeps a gateway from nothing but listening.
func TestPrivateGatewaysOutliveTheirRules(t *testing.T) {
	permitted := allow.Loopback()
	w := newWorldOf(t, func(c *service.Config) { c.Gateways.Listen = func() allow.Listen { return permitted } })
	path := "/private_gateways/" + text(w.does(201, "POST", "/private_gateways", object{"name": "a"}), "id")
	permitted = nil
	w.does(200, "PATCH", path, object{"description": "x", "hold": 5})
	w.refused(400, postern.CodeGatewayListenRefused, "PATCH", path, object{"listen": []any{}})
	w.refused(400, postern.CodeGatewayListenRefused, "POST", "/private_gateways", object{"name": "b"})
}

// A gateway's own domain is one that the account has reserved, and nobody else's.
func TestPrivateGatewayDomains(t *testing.T) {
	w, _ := newGatewayWorld(t, "")
	domain := text(w.does(201, "POST", "/reserved_domains", object{"domain": "cust.org"}), "id")
	made := w.does(201, "POST", "/private_gateways", object{"name": "a", "domain": "GW.cust.org"})
	if made["domain"] != "gw.cust.org" || made["address"] != "https://gw.cust.org:8443/"+text(made, "path") {
		t.Errorf("made %v", made)
	}
	path := "/private_gateways/" + text(made, "id")
	w.refused(400, postern.CodeGatewayDomainInvalid, "PATCH", path, object{"domain": "*.cust.org"})
	w.refused(409, postern.CodeGatewayDomainInUse, "POST", "/private_gateways", object{"name": "b", "domain": "gw.cust.org"})
	w.stranger().refused(400, postern.CodeGatewayDomainInvalid, "POST", "/private_gateways", object{"name": "b", "domain": "gw.cust.org"})
	w.does(201, "POST", "/endpoints", cloud("https://app.cust.org"))
	w.refused(409, postern.CodeGatewayDomainInUse, "PATCH", path, object{"domain": "app.cust.org"})
	w.does(201, "POST", "/agent_ingresses", object{"domain": "in.cust.org"})
	w.refused(409, postern.CodeGatewayDomainInUse, "PATCH", path, object{"domain": "in.cust.org"})
	w.does(204, "DELETE", "/endpoints/"+ids(w.does(200, "GET", "/endpoints", nil), "endpoints")[0], nil)
	w.refused(400, postern.CodeDomainReferenced, "DELETE", "/reserved_domains/"+domain, nil)
	w.does(200, "PATCH", path, object{"domain": "gw.cust.org"})
	for _, none := range []any{nil, ""} {
		if got := w.does(200, "PATCH", path, object{"domain": none}); got["domain"] != nil || !strings.HasPrefix(text(got, "address"), "https://gateway.example.com:8443/sg_") {
			t.Errorf("without a domain: %v", got)
		}
	}
	w.does(204, "DELETE", "/reserved_domains/"+domain, nil)
}

// What is live of a gateway is shown with it, in an order that stays.
func TestPrivateGatewaysLive(t *testing.T) {
	w, live := newGatewayWorld(t, "")
	id := text(w.does(201, "POST", "/private_gateways", object{"name": "a"}), "id")
	quiet := text(w.does(201, "POST", "/private_gateways", object{"name": "b"}), "id")
	at := time.Date(2031, 2, 3, 4, 5, 6, 789e6, time.UTC)
	latency, healthy := 1.25, true
	live.set(id, api.GatewayState{
		Connectors: []resource.GatewayConnector{
			{ID: "ts_2", Since: at.Add(time.Hour), Token: resource.Ref{ID: "pgt_1"}},
			{ID: "ts_1", Instance: "123456789", Token: resource.Ref{ID: "pgt_1"}, Version: "2.0.11", UserAgent: "CloudConnector/2.0.11", Transport: "chisel-v3",
				RemoteAddr: "192.0.2.1:4711", Since: at, LatencyMS: &latency, BytesIn: 1, BytesOut: 1 << 40, Connections: 3},
		},
		Endpoints: []resource.GatewayEndpoint{
			{Network: "udp", Port: 8081},
			{Network: "tcp", Port: 8081, Targets: []string{"192.168.0.3:8393"}, Connectors: []string{"ts_1"}, Listen: []string{"127.64.0.1:8081"}, Open: true,
				Healthy: &healthy, LastProbeAt: &at, Connections: 3, Bytes: 7},
		},
	})
	got := w.does(200, "GET", "/private_gateways/"+id, nil)
	token := object{"id": "pgt_1", "uri": base + "/private_gateway_tokens/pgt_1"}
	want := []any{
		object{"id": "ts_1", "instance": "123456789", "token": token, "version": "2.0.11", "user_agent": "CloudConnector/2.0.11", "transport": "chisel-v3",
			"remote_addr": "192.0.2.1:4711", "since": "2031-02-03T04:05:06Z", "latency_ms": 1.25, "bytes_in": 1.0, "bytes_out": float64(1 << 40), "connections": 3.0},
		object{"id": "ts_2", "instance": "", "token": token, "version": "", "user_agent": "", "transport": "", "remote_addr": "", "since": "2031-02-03T05:05:06Z",
			"latency_ms": nil, "bytes_in": 0.0, "bytes_out": 0.0, "connections": 0.0},
	}
	if diff := cmp.Diff(want, got["connectors"]); diff != "" {
		t.Errorf("connectors (-want +got):\n%s", diff)
	}
	want = []any{
		object{"network": "tcp", "port": 8081.0, "targets": []any{"192.168.0.3:8393"}, "connectors": []any{"ts_1"}, "listen": []any{"127.64.0.1:8081"}, "open": true,
			"healthy": true, "last_probe_at": "2031-02-03T04:05:06Z", "error": "", "connections": 3.0, "bytes": 7.0},
		object{"network": "udp", "port": 8081.0, "targets": []any{}, "connectors": []any{}, "listen": []any{}, "open": false,
			"healthy": nil, "last_probe_at": nil, "error": "", "connections": 0.0, "bytes": 0.0},
	}
	if diff := cmp.Diff(want, got["endpoints"]); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	for _, one := range w.does(200, "GET", "/private_gateways", nil)["private_gateways"].([]any) { //nolint:forcetypeassert // a test
		shown, _ := one.(object)
		if diff := cmp.Diff(w.does(200, "GET", "/private_gateways/"+text(shown, "id"), nil), shown); diff != "" {
			t.Errorf("listed (-got alone +listed):\n%s", diff)
		}
	}
	if len(list(w.does(200, "GET", "/private_gateways/"+quiet, nil)["connectors"])) != 0 {
		t.Error("another gateway's connectors are shown")
	}
	if got := w.does(200, "PATCH", "/private_gateways/"+id, object{"hold": 1}); len(got["connectors"].([]any)) != 2 { //nolint:forcetypeassert // a test
		t.Errorf("changed %v", got)
	}
	live.set(id, api.GatewayState{})
	if got := w.does(200, "GET", "/private_gateways/"+id, nil); len(got["connectors"].([]any)) != 0 { //nolint:forcetypeassert // a test
		t.Errorf("gone, and shown: %v", got)
	}
}
