package api_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

// What the traffic policy of a cloud endpoint names cannot be taken away, or called
// otherwise, and the answer says which endpoint it is. Nothing else is held.
func TestWhatPoliciesNameIsKept(t *testing.T) {
	w := newWorld(t)
	list := text(w.does(201, "POST", "/ip_policies", object{}), "id")
	spare := text(w.does(201, "POST", "/ip_policies", object{}), "id")
	vault := text(w.does(201, "POST", "/vaults", object{"name": "ops"}), "id")
	secret := func(name string) string {
		return text(w.does(201, "POST", "/vault_secrets", object{"name": name, "value": "v", "vault_id": vault}), "id")
	}
	token, other, unread := secret("token"), secret("other"), secret("tok")
	endpoint := func(name, policy string) string {
		return text(w.does(201, "POST", "/endpoints", object{"type": "cloud", "url": "https://" + name + ".internal", "traffic_policy": policy}), "id")
	}
	pem, _ := certificate(t, func(c *x509.Certificate) { c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil })
	authority := text(w.does(201, "POST", "/certificate_authorities", object{"ca_pem": pem}), "id")
	third := endpoint("authority", "on_http_request: [{actions: [{type: custom-response, config: {body: "+authority+"}}]}]")
	first := endpoint("yaml", "on_http_request:\n- actions:\n  - type: restrict-ips\n    config: {ip_policies: ["+list+"]}\n  - type: custom-response\n    config: {body: '${secrets.get(''ops'', ''token'')}'}\n")
	second := endpoint("json", `{"on_http_request": [{"expressions": ["secrets.get( \"ops\",\"other\" ) == 'x'"], "actions": [{"type": "deny"}]}, {"actions": [{"type": "custom-response"}]}]}`)
	held := func(by, method, path string, body any) {
		t.Helper()
		if message := w.refused(400, postern.CodeNamedByPolicy, method, path, body); !strings.Contains(message, by) {
			t.Errorf("%s %s: %s does not name %s", method, path, message, by)
		}
	}
	held(first, "DELETE", "/ip_policies/"+list, nil)
	held(third, "DELETE", "/certificate_authorities/"+authority, nil)
	held(first, "DELETE", "/vault_secrets/"+token, nil)
	held(first, "PATCH", "/vault_secrets/"+token, object{"name": "renamed"})
	held(second, "DELETE", "/vault_secrets/"+other, nil)
	held(first, "PATCH", "/vaults/"+vault, object{"name": "renamed"})
	w.does(204, "DELETE", "/ip_policies/"+spare, nil)
	w.does(204, "DELETE", "/vault_secrets/"+unread, nil)
	w.does(200, "PATCH", "/vault_secrets/"+token, object{"value": "w"})
	w.does(200, "PATCH", "/vaults/"+vault, object{"description": "d"})
	for n := range 6 {
		endpoint(fmt.Sprint("more", n), "on_http_request: [{actions: [{type: restrict-ips, config: {ip_policies: ["+list+"]}}, {type: deny}]}]")
	}
	held("and 2 more", "DELETE", "/ip_policies/"+list, nil)
	for _, id := range ids(w.does(200, "GET", "/endpoints", nil), "endpoints") {
		w.does(204, "DELETE", "/endpoints/"+id, nil)
	}
	for _, path := range []string{"/ip_policies/" + list, "/certificate_authorities/" + authority, "/vault_secrets/" + token, "/vault_secrets/" + other, "/vaults/" + vault} {
		w.does(204, "DELETE", path, nil)
	}
}
