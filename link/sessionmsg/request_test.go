package sessionmsg_test

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func bind(proto, opts string) sessionmsg.Bind {
	return sessionmsg.Bind{Proto: proto, Opts: json.RawMessage(opts)}
}

// Opts as the SDKs write them: every key of their struct, null where unset.
const (
	goHTTP = `{"URL":"","Domain":"","Hostname":"","Subdomain":"","Auth":"","HostHeaderRewrite":false,"LocalURLScheme":"","ProxyProto":0,
		"Compression":null,"CircuitBreaker":null,"IPRestriction":null,"BasicAuth":null,"OAuth":null,"OIDC":null,"WebhookVerification":null,
		"MutualTLSCA":null,"RequestHeaders":null,"ResponseHeaders":null,"WebsocketTCPConverter":null,"UserAgentFilter":null,"Policy":null,"TrafficPolicy":""}`
	rustHTTP = `{"Domain":"","Hostname":"","Subdomain":"","Auth":"","HostHeaderRewrite":false,"LocalUrlScheme":"","ProxyProto":0}`
)

// with sets members of an Opts object.
func with(opts string, pairs ...string) string {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(opts), &members); err != nil {
		panic(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	raw, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestWhatURLIsAskedFor(t *testing.T) {
	tests := []struct {
		name, proto, opts string
		want              postern.URLRequest
		subdomain         string
	}{
		{"nothing: https", "", `null`, postern.URLRequest{Scheme: postern.HTTPS}, ""},
		{"defaults of ngrok-go", "https", goHTTP, postern.URLRequest{Scheme: postern.HTTPS}, ""},
		{"defaults of ngrok-rust", "http", rustHTTP, postern.URLRequest{Scheme: postern.HTTP}, ""},
		{"URL", "https", with(goHTTP, "URL", `"https://App.Example.com"`), postern.URLRequest{Scheme: postern.HTTPS, Host: "app.example.com"}, ""},
		{"URL without a scheme", "https", with(goHTTP, "URL", `"app.example.com"`), postern.URLRequest{Scheme: postern.HTTPS, Host: "app.example.com"}, ""},
		{"URL with the other http scheme", "https", with(goHTTP, "URL", `"http://a.test"`), postern.URLRequest{Scheme: postern.HTTP, Host: "a.test"}, ""},
		{"URL of a scheme only", "tcp", `{"URL":"tcp://"}`, postern.URLRequest{Scheme: postern.TCP}, ""},
		{"tcp URL", "tcp", `{"URL":"tcp://tcp.a.test:2222"}`, postern.URLRequest{Scheme: postern.TCP, Host: "tcp.a.test", Port: 2222}, ""},
		{"Addr", "tcp", `{"Addr":"tcp.a.test:2222","ProxyProto":0}`, postern.URLRequest{Scheme: postern.TCP, Host: "tcp.a.test", Port: 2222}, ""},
		{"Addr of an address", "tcp", `{"Addr":"[::1]:2222"}`, postern.URLRequest{Scheme: postern.TCP, IP: netip.IPv6Loopback(), Port: 2222}, ""},
		{"Domain", "https", with(rustHTTP, "Domain", `"a.test"`), postern.URLRequest{Scheme: postern.HTTPS, Host: "a.test"}, ""},
		{"Hostname", "tls", `{"Hostname":"a.test"}`, postern.URLRequest{Scheme: postern.TLS, Host: "a.test"}, ""},
		{"Domain before Hostname", "https", `{"Domain":"a.test","Hostname":"b.test"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "a.test"}, ""},
		{"URL before all", "https", `{"URL":"c.test","Domain":"a.test","Subdomain":"s"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "c.test"}, ""},
		{"Subdomain", "https", with(goHTTP, "Subdomain", `"Mine"`), postern.URLRequest{Scheme: postern.HTTPS}, "mine"},
		{"wildcard", "https", `{"URL":"https://*.a.test"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "*.a.test"}, ""},
		{"unicode", "https", `{"URL":"https://BÜCHER.example"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "xn--bcher-kva.example"}, ""},
		{"unicode below a wildcard", "https", `{"URL":"*.bücher.example"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "*.xn--bcher-kva.example"}, ""},
		{"unicode with a port", "https", `{"Domain":"bücher.example:443"}`, postern.URLRequest{Scheme: postern.HTTPS, Host: "xn--bcher-kva.example", Port: 443}, ""},
		{"unicode subdomain", "https", `{"Subdomain":"bücher"}`, postern.URLRequest{Scheme: postern.HTTPS}, "xn--bcher-kva"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			message := bind(tt.proto, tt.opts)
			got, err := message.Request()
			if err != nil {
				t.Fatal(err)
			}
			if got.URL != tt.want || got.Subdomain != tt.subdomain || len(got.Unsupported) != 0 {
				t.Errorf("got %+v, %q, unsupported %q", got.URL, got.Subdomain, got.Unsupported)
			}
		})
	}
}

func TestRequestRefuses(t *testing.T) {
	tests := []struct {
		name string
		bind sessionmsg.Bind
		code postern.Code
	}{
		{"an unknown protocol", bind("ssh", `{}`), postern.CodeSchemeInvalid},
		{"a bad hostname", bind("https", `{"URL":"https://under&score.test"}`), postern.CodeHostnameInvalid}, // S: suites want 326
		{"a name that IDNA forbids", bind("https", `{"URL":"https://a⒈b.test"}`), postern.CodeHostnameInvalid},
		{"a path", bind("https", `{"URL":"https://a.test/path"}`), postern.CodeURLPartNotAllowed}, // 9037
		{"a unicode path", bind("https", `{"URL":"https://ä.test/päth"}`), postern.CodeURLPartNotAllowed},
		{"a bad port", bind("tcp", `{"Addr":"a.test:99999"}`), postern.CodeURLPartNotAllowed},
		{"a URL of another protocol", bind("tcp", `{"URL":"https://a.test"}`), postern.CodeBindInvalid},
		{"a URL of another protocol, tls", bind("tls", `{"URL":"https://a.test"}`), postern.CodeBindInvalid},
		{"PROXY protocol 3", bind("tcp", `{"ProxyProto":3}`), postern.CodeBindInvalid},
		{"Opts that are no object", bind("tcp", `[1]`), postern.CodeBindInvalid},
		{"an unknown ForwardsProto", sessionmsg.Bind{ForwardsProto: "http9"}, postern.CodeBindInvalid},
		{"a long Id", sessionmsg.Bind{ID: strings.Repeat("x", 200)}, postern.CodeBindInvalid},
		{"an Id with a line break", sessionmsg.Bind{ID: "a\nb"}, postern.CodeBindInvalid},
		{"a certificate without its key", bind("tls", `{"TLSTermination":{"cert":"YQ=="}}`), postern.CodeBindInvalid},
		{"a host header with a line break", sessionmsg.Bind{ForwardsTo: "a\r\nX: y", Opts: json.RawMessage(`{"HostHeaderRewrite":true}`)}, postern.CodeBindInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.bind.Request(); !postern.HasCode(err, tt.code) {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}

// A guard is never dropped: what cannot be one of the endpoint's is refused.
func TestMutualTLSIsRefused(t *testing.T) {
	certificate, key := certify.New(t, "a.test", nil).PEM(t)
	encoded := func(text string) string {
		raw, _ := json.Marshal([]byte(text))
		return string(raw)
	}
	for what, c := range map[string]struct {
		bind sessionmsg.Bind
		says string
	}{
		"a key":                   {bind("https", `{"MutualTLSCA":{"mutual_tls_ca":`+encoded(key)+`}}`), "is a private key, expected a CA certificate"},
		"no PEM":                  {bind("https", `{"MutualTLSCA":{"mutual_tls_ca":"YQ=="}}`), "is not PEM"},
		"of tcp":                  {bind("tcp", `{"MutualTLSCA":{"mutual_tls_ca":`+encoded(certificate)+`}}`), "mutual TLS is for https endpoints"},
		"that of tls for http":    {bind("https", `{"MutualTLSAtEdge":{"mutual_tls_ca":`+encoded(certificate)+`}}`), "mutual TLS is for https endpoints"},
		"that of http for tls":    {bind("tls", `{"MutualTLSCA":{"mutual_tls_ca":`+encoded(certificate)+`}}`), "mutual TLS is for https endpoints"},
		"of another form":         {bind("https", `{"MutualTLSCA":"x"}`), "Opts"},
		"a key on a tls endpoint": {bind("tls", `{"TLSTermination":{},"MutualTLSAtEdge":{"mutual_tls_ca":`+encoded(key)+`}}`), "is a private key"},
	} {
		if _, err := c.bind.Request(); !postern.HasCode(err, postern.CodeBindInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
	}
}

// What is asked of an endpoint's traffic reaches whoever makes a policy of it.
func TestMiddlewareIsNamed(t *testing.T) {
	tests := []struct {
		name, opts string
		want       []string
	}{
		{"nothing", goHTTP, nil},
		{"zero objects that SDKs send as defaults", `{"IPRestriction":{},"BasicAuth":{"credentials":[]},"OAuth":{"provider":"","scopes":null},
			"CircuitBreaker":{"error_threshold":0},"RequestHeaders":{"add":[],"addParsed":{}},"MutualTLSAtEdge":{"mutual_tls_ca":""},
			"Policy":{"Inbound":[],"Outbound":[]},"TrafficPolicy":"  ","MiddlewareBytes":""}`, nil},
		{"Compression has no fields", `{"Compression":{}}`, []string{"Compression"}},
		{"WebsocketTCPConverter neither", `{"WebsocketTCPConverter":{}}`, []string{"WebsocketTCPConverter"}},
		{"Auth", `{"Auth":"user:password"}`, []string{"Auth"}},
		{"IPRestriction", `{"IPRestriction":{"allow_cidrs":["10.0.0.0/8"]}}`, []string{"IPRestriction"}},
		{"BasicAuth", `{"BasicAuth":{"credentials":[{"username":"u","cleartext_password":"p"}]}}`, []string{"BasicAuth"}},
		{"OAuth and OIDC", `{"OAuth":{"provider":"google"},"OIDC":{"issuer_url":"https://x"}}`, []string{"OAuth", "OIDC"}},
		{"CircuitBreaker", `{"CircuitBreaker":{"error_threshold":0.5}}`, []string{"CircuitBreaker"}},
		{"WebhookVerification", `{"WebhookVerification":{"provider":"slack"}}`, []string{"WebhookVerification"}},
		{"headers", `{"RequestHeaders":{"remove":["a"]},"ResponseHeaders":{"add":["a:b"]}}`, []string{"RequestHeaders", "ResponseHeaders"}},
		{"UserAgentFilter", `{"UserAgentFilter":{"deny":["x"]}}`, []string{"UserAgentFilter"}},
		{"Policy", `{"Policy":{"Inbound":[{}]}}`, []string{"Policy"}},
		{"protobuf of old agents", `{"MiddlewareBytes":"CgA="}`, []string{"MiddlewareBytes"}},
		{"any case", `{"ipRESTRICTION":{"DENY_cidrs":["::/0"]}}`, []string{"IPRestriction"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			message := bind("https", tt.opts)
			got, err := message.Request()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(got.Middleware))); diff != "" || len(got.Unsupported) > 0 {
				t.Errorf("(-want +got):\n%s, unsupported %q", diff, got.Unsupported)
			}
		})
	}
}

func TestUnsupportedOutsideOpts(t *testing.T) {
	message := sessionmsg.Bind{Extra: sessionmsg.BindExtra{IPPolicyRef: "ipp_1", Bindings: []string{"public", "internal", "kubernetes"}}}
	got, err := message.Request()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"IPPolicyRef"} // bindings are the Binder's to judge
	if diff := cmp.Diff(want, got.Unsupported); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sealed := bind("tls", `{"TLSTermination":{"cert":"YQ==","sealed_key":"YQ=="}}`)
	if got, err = sealed.Request(); err != nil || cmp.Diff([]string{"TLSTermination.sealed_key"}, got.Unsupported) != "" {
		t.Errorf("got %q, %v", got.Unsupported, err)
	}
}

func TestOptions(t *testing.T) {
	certificate, key := certify.New(t, "a.test", nil).PEM(t)
	encoded := func(text string) string {
		raw, _ := json.Marshal([]byte(text))
		return string(raw)
	}
	tests := []struct {
		name string
		bind sessionmsg.Bind
		want postern.EndpointOptions
	}{
		{"PROXY protocol", bind("tcp", `{"ProxyProto":2}`), postern.EndpointOptions{ProxyProtocol: 2}},
		{"PROXY protocol as text", bind("tcp", `{"ProxyProto":"1"}`), postern.EndpointOptions{ProxyProtocol: 1}},
		{"http2", sessionmsg.Bind{ForwardsProto: "http2"}, postern.EndpointOptions{UpstreamProtocol: postern.HTTP2}},
		{"http1", sessionmsg.Bind{ForwardsProto: "http1"}, postern.EndpointOptions{}},
		{"http2 means nothing to tcp", sessionmsg.Bind{Proto: "tcp", ForwardsProto: "http2"}, postern.EndpointOptions{}},
		{"host header of an address", sessionmsg.Bind{ForwardsTo: "localhost:8080", Opts: json.RawMessage(`{"HostHeaderRewrite":true}`)}, postern.EndpointOptions{HostHeader: "localhost:8080"}},
		{"host header of a URL", sessionmsg.Bind{ForwardsTo: "https://inner.test:8443/x", Opts: json.RawMessage(`{"hostheaderrewrite":true}`)}, postern.EndpointOptions{HostHeader: "inner.test:8443"}},
		{"host header of a socket", sessionmsg.Bind{ForwardsTo: "unix:///run/app.sock", Opts: json.RawMessage(`{"HostHeaderRewrite":true}`)}, postern.EndpointOptions{HostHeader: "localhost"}},
		{"tls passthrough", bind("tls", `{"TLSTermination":null,"MutualTLSAtAgent":true}`), postern.EndpointOptions{}},
		{"tls with the edge's certificate", bind("tls", `{"TLSTermination":{}}`), postern.EndpointOptions{Termination: postern.AtEdge}},
		{"tls with the edge's certificate, spelt out", bind("tls", `{"TLSTermination":{"cert":"","key":"","sealed_key":""}}`), postern.EndpointOptions{Termination: postern.AtEdge}},
		{"tls with the agent's certificate", bind("tls", `{"TLSTermination":{"cert":`+encoded(certificate)+`,"key":`+encoded(key)+`}}`),
			postern.EndpointOptions{Termination: postern.AtEdge, CertificatePEM: certificate, KeyPEM: postern.Secret(key)}},
		{"mutual TLS", bind("https", `{"MutualTLSCA":{"mutual_tls_ca":`+encoded(certificate)+`}}`), postern.EndpointOptions{MutualTLS: postern.MutualTLS{AuthoritiesPEM: certificate}}},
		{"mutual TLS of tls", bind("tls", `{"TLSTermination":{},"MutualTLSAtEdge":{"mutual_tls_ca":`+encoded(certificate)+`}}`),
			postern.EndpointOptions{Termination: postern.AtEdge, MutualTLS: postern.MutualTLS{AuthoritiesPEM: certificate}}},
		{"no mutual TLS", bind("https", `{"MutualTLSCA":{"mutual_tls_ca":""},"MutualTLSAtEdge":null}`), postern.EndpointOptions{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.bind.Request()
			if err != nil {
				t.Fatal(err)
			}
			if got.Options != tt.want {
				t.Errorf("got %+v, want %+v", got.Options, tt.want)
			}
		})
	}
}

func TestRequestCarriesTheRest(t *testing.T) {
	message := sessionmsg.Bind{ID: "id", ForwardsTo: "f", Extra: sessionmsg.BindExtra{
		Name: "n", Token: "t", Metadata: "m", Description: "d", Bindings: []string{"public"}, PoolingEnabled: true}}
	got, err := message.Request()
	if err != nil {
		t.Fatal(err)
	}
	want := link.BindRequest{ID: "id", Token: "t", URL: postern.URLRequest{Scheme: postern.HTTPS}, Name: "n", Description: "d",
		Metadata: "m", ForwardsTo: "f", Bindings: []string{"public"}, Pooling: true}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
