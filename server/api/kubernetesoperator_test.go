package api_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/service"
)

// newClusterWorld is a world that can sign for operators.
func newClusterWorld(t *testing.T, now *clock) (*world, *x509.CertPool) {
	t.Helper()
	bindings, err := pki.OpenBindings(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(bindings.Root())
	return newWorldOf(t, func(c *service.Config) {
		c.Operators = bindings
		if now != nil {
			c.Now = now.read
		}
	}), roots
}

// signingRequest is that of a new key, with names that the certificate must not have.
func signingRequest(t *testing.T) (string, *ecdsa.PrivateKey) {
	t.Helper()
	key := certify.P256(t)
	der := certify.Request(t, key, x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin", Organization: []string{"Evil"}}, DNSNames: []string{"api.example.com"}})
	return certify.Block("CERTIFICATE REQUEST", der), key
}

// certified sees that an operator has a certificate for a key, and returns it.
func certified(t *testing.T, operator object, key *ecdsa.PrivateKey, roots *x509.CertPool, now time.Time) string {
	t.Helper()
	cert := at(operator, "binding", "cert")
	block, _ := pem.Decode([]byte(text(cert, "cert")))
	if block == nil {
		t.Fatalf("no certificate: %v", operator)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) || leaf.Subject.String() != "CN="+text(operator, "id") || len(leaf.DNSNames) > 0 {
		t.Errorf("the certificate is for %v %v", leaf.Subject, leaf.DNSNames)
	}
	if cert["not_before"] != leaf.NotBefore.Format(time.RFC3339) || cert["not_after"] != leaf.NotAfter.Format(time.RFC3339) {
		t.Errorf("%v to %v, told %v", leaf.NotBefore, leaf.NotAfter, cert)
	}
	return text(cert, "cert")
}

func TestKubernetesOperators(t *testing.T) {
	w, roots := newClusterWorld(t, nil)
	request, key := signingRequest(t)
	deployment := object{"name": "ngrok-operator", "namespace": "ngrok", "version": "0.18.0", "cluster_name": "prod"}
	made := w.does(201, "POST", "/kubernetes_operators", object{
		"description": "d", "metadata": "m", "enabled_features": []any{"bindings", "ingress", "bindings"}, "region": "global", "deployment": deployment,
		"binding": object{"endpoint_selectors": []any{"true"}, "csr": request, "ingress_endpoint": "in.example.com:443"},
	})
	id := text(made, "id")
	if keys(made) != "binding created_at deployment description enabled_features id metadata principal region updated_at uri" ||
		!strings.HasPrefix(id, "k8sop_") || made["uri"] != base+"/kubernetes_operators/"+id || made["region"] != "global" ||
		!maps.Equal(at(made, "deployment"), deployment) || !maps.Equal(at(made, "principal"), object{"id": string(w.first.UserID), "uri": ""}) {
		t.Errorf("made %v", made)
	}
	if features, _ := made["enabled_features"].([]any); !slices.Equal(features, []any{"bindings", "ingress"}) {
		t.Errorf("features %v", features)
	}
	if keys(at(made, "binding")) != "cert endpoint_selectors ingress_endpoint" || at(made, "binding")["ingress_endpoint"] != "in.example.com:443" {
		t.Errorf("binding %v", made["binding"])
	}
	first := certified(t, made, key, roots, time.Now())
	if list := w.does(200, "GET", filtered("/kubernetes_operators", `obj.deployment.namespace == "ngrok" && obj.enabled_features.size() == 2`), nil); !slices.Equal(ids(list, "operators"), []string{id}) {
		t.Errorf("filtered %v", list)
	}
	path := "/kubernetes_operators/" + id
	for _, same := range []object{{}, {"binding": nil}, {"binding": object{}}, {"binding": object{"csr": request}}, {"deployment": object{"version": "0.19.0"}}} {
		if got := w.does(200, "PATCH", path, same); text(at(got, "binding", "cert"), "cert") != first || at(got, "deployment")["name"] != "ngrok-operator" {
			t.Errorf("%v gave %v", same, got)
		}
	}
	other, otherKey := signingRequest(t)
	changed := w.does(200, "PATCH", path, object{"description": "", "enabled_features": []any{}, "binding": object{"csr": other}})
	if certified(t, changed, otherKey, roots, time.Now()) == first || changed["description"] != "" || at(changed, "deployment")["version"] != "0.19.0" {
		t.Errorf("changed %v", changed)
	}
	bare := w.does(201, "POST", "/kubernetes_operators", object{})
	if binding, there := bare["binding"]; !there || binding != nil || bare["region"] != "global" {
		t.Errorf("bare %v", bare)
	}
	late := w.does(200, "PATCH", "/kubernetes_operators/"+text(bare, "id"), object{"binding": object{"csr": request}})
	certified(t, late, key, roots, time.Now())
	w.does(204, "DELETE", path, nil)
	w.refused(404, "", "GET", path, nil)
	want := []postern.EventType{event.KubernetesOperatorCreated}
	want = append(want, slices.Repeat([]postern.EventType{event.KubernetesOperatorUpdated}, 6)...)
	if got := w.happened(id); !slices.Equal(got, append(want, event.KubernetesOperatorDeleted)) {
		t.Errorf("events %v", got)
	}
}

func TestKubernetesOperatorsAreChecked(t *testing.T) {
	w, _ := newClusterWorld(t, nil)
	request, key := signingRequest(t)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	binding := func(selectors ...any) object {
		return object{"binding": object{"csr": request, "endpoint_selectors": selectors}}
	}
	path := "/kubernetes_operators/" + text(w.does(201, "POST", "/kubernetes_operators", object{}), "id")
	for name, c := range map[string]struct {
		code postern.Code
		body object
	}{
		"an unknown feature":     {postern.CodeValueInvalid, object{"enabled_features": []any{"bindings", "egress"}}},
		"another region":         {postern.CodeRegionInvalid, object{"region": "eu"}},
		"no request":             {postern.CodeSigningRequestInvalid, object{"binding": object{"endpoint_selectors": []any{"true"}}}},
		"no PEM":                 {postern.CodeSigningRequestInvalid, object{"binding": object{"csr": "hello"}}},
		"a key":                  {postern.CodeSigningRequestInvalid, object{"binding": object{"csr": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}}},
		"half a request":         {postern.CodeSigningRequestInvalid, object{"binding": object{"csr": request[:200]}}},
		"a selector is no CEL":   {postern.CodeValueInvalid, binding("true", "a ==")},
		"an empty selector":      {postern.CodeValueInvalid, binding(" ")},
		"a long selector":        {postern.CodeFieldInvalid, binding(`"` + strings.Repeat("x", 1023) + `" == ""`)},
		"a deep selector":        {postern.CodeValueInvalid, binding(strings.Repeat("(", 400) + "true" + strings.Repeat(")", 400))},
		"many selectors":         {postern.CodeValueInvalid, binding(slices.Repeat([]any{"true"}, 21)...)},
		"a long name":            {postern.CodeFieldInvalid, object{"deployment": object{"name": strings.Repeat("x", 256)}}},
		"an unknown field":       {postern.CodeFieldUnknown, object{"binding": object{"cert": "x"}}},
		"a long ingress":         {postern.CodeFieldInvalid, object{"binding": object{"csr": request, "ingress_endpoint": strings.Repeat("x", 256)}}},
		"a long text for people": {postern.CodeFieldInvalid, object{"description": strings.Repeat("x", 256)}},
	} {
		for _, to := range [][2]string{{"POST", "/kubernetes_operators"}, {"PATCH", path}} {
			if message := w.refused(400, c.code, to[0], to[1], c.body); strings.Contains(message, string(private[:20])) {
				t.Errorf("%s: the key is in the message", name)
			}
		}
	}
	if got := w.does(200, "GET", path, nil); got["binding"] != nil {
		t.Errorf("what was refused has changed it: %v", got)
	}
	w.does(201, "POST", "/kubernetes_operators", object{"enabled_features": []any{"gateway"}, "deployment": object{"name": strings.Repeat("x", 255)}})
	if got := newWorld(t).send("POST", "/kubernetes_operators", object{"binding": object{"csr": request}}); got.StatusCode != 500 {
		t.Errorf("without a CA: %d %s", got.StatusCode, got.text)
	}
}

// The same request gets another certificate in time.
func TestKubernetesCertificateIsRenewed(t *testing.T) {
	now := &clock{now: time.Now()}
	w, roots := newClusterWorld(t, now)
	request, key := signingRequest(t)
	made := w.does(201, "POST", "/kubernetes_operators", object{"binding": object{"csr": request}})
	first := certified(t, made, key, roots, now.read())
	for _, renewed := range []bool{false, false, true, false} {
		now.now = now.now.AddDate(0, 0, 100)
		got := w.does(200, "PATCH", "/kubernetes_operators/"+text(made, "id"), object{"binding": object{"csr": request}})
		last := certified(t, got, key, roots, now.read())
		if (last != first) != renewed {
			t.Errorf("on %v: renewed %v, want %v", now.read(), !renewed, renewed)
		}
		first = last
	}
}

func TestBoundEndpoints(t *testing.T) {
	w, _ := newClusterWorld(t, nil)
	request, _ := signingRequest(t)
	endpoint := func(by *world, url, binding, description string) string {
		return text(by.does(201, "POST", "/endpoints", object{"url": url, "type": "cloud", "bindings": []any{binding}, "description": description,
			"traffic_policy": `{"on_tcp_connect": [{"actions": [{"type": "deny"}]}]}`}), "id")
	}
	web := endpoint(w, "tls://web.default", "kubernetes", "web")
	db := endpoint(w, "tcp://db.default:5432", "kubernetes", "db")
	both := []string{max(db, web), min(db, web)} // as lists have them
	endpoint(w, "tls://web.internal", "internal", "web")
	other := w.stranger()
	endpoint(other, "tls://theirs.default", "kubernetes", "web")
	made := w.does(201, "POST", "/kubernetes_operators", object{"enabled_features": []any{"bindings"}, "binding": object{"csr": request, "endpoint_selectors": []any{"true"}}})
	path := "/kubernetes_operators/" + text(made, "id")
	bound := func(query string) []string {
		return ids(w.does(200, "GET", path+"/bound_endpoints"+query, nil), "endpoints")
	}
	for _, c := range []struct {
		selectors []any
		want      []string
	}{
		{[]any{"true"}, both},
		{[]any{}, nil},
		{[]any{"false"}, nil},
		{[]any{`endpoint.description == "web"`}, []string{web}},
		{[]any{`obj.scheme == "tcp"`, `endpoint.host.startsWith("nothing")`}, []string{db}},
		{[]any{`obj.scheme == "tcp"`, `endpoint.url.endsWith("default")`}, both},
		{[]any{`endpoint.labels.exists(l, l == "a")`}, nil}, // CEL, and nothing that filters know
	} {
		w.does(200, "PATCH", path, object{"binding": object{"endpoint_selectors": c.selectors}})
		if got := bound(""); !slices.Equal(got, c.want) {
			t.Errorf("%v selects %v, want %v", c.selectors, got, c.want)
		}
	}
	w.does(200, "PATCH", path, object{"binding": object{"endpoint_selectors": []any{"true"}}})
	page := w.does(200, "GET", path+"/bound_endpoints?limit=1", nil)
	next := text(page, "next_page_uri")
	if !slices.Equal(ids(page, "endpoints"), both[:1]) || page["uri"] != base+path+"/bound_endpoints" || next == "" {
		t.Fatalf("page %v", page)
	}
	if rest := w.does(200, "GET", next, nil); !slices.Equal(ids(rest, "endpoints"), both[1:]) || rest["next_page_uri"] != nil {
		t.Errorf("the rest is %v", rest)
	}
	if list := w.does(200, "GET", filtered(path+"/bound_endpoints", `obj.description == "db"`), nil); !slices.Equal(ids(list, "endpoints"), []string{db}) {
		t.Errorf("filtered %v", list)
	}
	w.does(200, "PATCH", path, object{"enabled_features": []any{"ingress"}})
	if got := bound(""); got != nil {
		t.Errorf("without the feature: %v", got)
	}
	for method, body := range map[string]any{"GET": nil, "PATCH": object{"description": "mine"}, "DELETE": nil} {
		other.refused(404, "", method, path, body)
	}
	other.refused(404, "", "GET", path+"/bound_endpoints", nil)
	w.refused(404, "", "GET", "/kubernetes_operators/vault_1/bound_endpoints", nil)
}
