package service_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/resource"
)

// The policy of a cloud endpoint may name certificate authorities of its account, and no
// others: those are told of where they stand.
func TestAuthoritiesInCloudPolicies(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	owning(t, w, c, "cust.org")
	endpoint := func(name, authority string) resource.EndpointCreate {
		return resource.EndpointCreate{Type: "cloud", URL: "https://" + name + ".cust.org", TrafficPolicy: fmt.Sprintf(`on_tcp_connect:
- actions:
  - type: terminate-tls
    config: {mutual_tls_certificate_authorities: [%s]}
on_http_request:
- actions: [{type: deny}]
`, authority)}
	}
	own := must[resource.CertificateAuthority](t)(w.CertificateAuthorities().Create(t.Context(), callerOf(c),
		resource.CertificateAuthorityCreate{CAPEM: certify.Chain(certify.New(t, "Clients", nil, certify.Authority))}))
	must[resource.Endpoint](t)(w.Endpoints().Create(t.Context(), callerOf(c), endpoint("own", own.ID)))
	_, err := w.Endpoints().Create(t.Context(), callerOf(c), endpoint("gone", "ca_gone"))
	refused(t, err, postern.CodeCloudPolicyInvalid)
	if text := postern.AsError(err).Text(); !strings.Contains(text, "line 4, column 51") || !strings.Contains(text, "no certificate authority ca_gone") {
		t.Error(text)
	}
}
