package policy

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/breaker"
)

// built is the action of a policy with one.
func built[A action](t *testing.T, text string) A {
	t.Helper()
	program, err := Compile(text, Target{Scheme: postern.HTTPS})
	if err != nil {
		t.Fatal(err)
	}
	for _, rules := range program.phases {
		for _, r := range rules {
			if a, ok := r.actions[0].action.(A); ok {
				return a
			}
		}
	}
	t.Fatalf("%s has none", text)
	panic("unreachable")
}

// What a policy leaves out is as the language says.
func TestDefaults(t *testing.T) {
	call := built[*calling](t, `on_http_request: [{actions: [{type: http-request, config: {url: "https://a.example/"}}]}]`)
	if call.method != "GET" || call.redirects != 10 || call.timeout != 3*time.Second || call.retry != nil || call.halts {
		t.Errorf("http-request: %+v", call)
	}
	gate := built[*gated](t, `on_http_request: [{actions: [{type: basic-auth, config: {credentials: ["ann:12345678"]}}]}]`)
	if gate.config.Realm != "ngrok" || !gate.enforce || gate.config.StopPreflights || gate.config.GrantAddress != 0 {
		t.Errorf("basic-auth: %+v", gate.config)
	}
	forward := built[*forwarding](t, `on_http_request: [{actions: [{type: forward-internal, config: {url: "https://a.internal"}}]}]`)
	if forward.goesOn {
		t.Error("forward-internal goes on")
	}
	limit := built[*rateLimiting](t, `on_http_request: [{actions: [{type: rate-limit, config: {name: x, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: []}}]}]`)
	restriction := built[*restriction](t, `on_http_request: [{actions: [{type: restrict-ips, config: {allow: [192.0.2.1]}}]}]`)
	if !limit.enforced || !restriction.enforced {
		t.Error("rate-limit or restrict-ips only looks on")
	}
	refused := built[denial](t, `on_http_request: [{actions: [{type: deny}]}]`)
	answer := built[*response](t, `on_http_request: [{actions: [{type: custom-response}]}]`)
	elsewhere := built[*redirection](t, `on_http_request: [{actions: [{type: redirect, config: {to: x}}]}]`)
	if refused.status != 403 || answer.status != 200 || elsewhere.status != 302 {
		t.Errorf("statuses: %d, %d, %d", refused.status, answer.status, elsewhere.status)
	}
	offer := built[*compression](t, `on_http_response: [{actions: [{type: compress-response}]}]`).offer
	if !slices.Equal(offer, body.Offer{body.Gzip, body.Deflate, body.Brotli, body.Compress}) {
		t.Errorf("compress-response offers %v", offer)
	}
	ending := built[*termination](t, `on_tcp_connect: [{actions: [{type: terminate-tls}]}]`)
	if ending.least != tls.VersionTLS12 || ending.most != tls.VersionTLS13 || ending.asks {
		t.Errorf("terminate-tls: %+v", ending)
	}
	asking := built[*termination](t, `on_tcp_connect: [{actions: [{type: terminate-tls, config: {mutual_tls_certificate_authorities: [ca_1]}}]}]`)
	if !asking.asks || asking.mode != postern.ClientCertificateRequiredAndVerified {
		t.Errorf("terminate-tls with authorities: %+v", asking)
	}
	if usual := breaker.Default(); usual != (breaker.Settings{Threshold: 0.5, Volume: 10, Window: 10 * time.Second, Tripped: 10 * time.Second}) || breaker.Buckets != 10 {
		t.Errorf("circuit-breaker: %+v", usual)
	}
}
