package control_test

import (
	"context"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

func TestBindInternal(t *testing.T) {
	tests := []struct {
		url     string
		binding string // "" is none
		want    string // the public URL, "" for an error
		code    postern.Code
	}{
		{"https://api.internal", "", "https://api.internal", ""},
		{"https://api.internal", "internal", "https://api.internal", ""},
		{"https://api.internal:443", "internal", "https://api.internal", ""},
		{"https://api.internal:8443", "", "https://api.internal:8443", ""},
		{"http://api.internal", "", "http://api.internal", ""},
		{"api.internal", "", "https://api.internal", ""},
		{"tcp://db.internal:5432", "", "tcp://db.internal:5432", ""},
		{"tls://db.internal", "", "tls://db.internal", ""},
		{"https://*.internal", "", "https://*.internal", ""},
		{"https://*.apps.eu.internal", "internal", "https://*.apps.eu.internal", ""},
		{"https://app.example.com", "public", "https://app.example.com", ""},

		{"https://api.internal", "public", "", postern.CodeBindInvalid},
		{"https://api.internal", "kubernetes", "", postern.CodeOptionUnsupported},
		{"https://", "internal", "", postern.CodeInternalNameInvalid},
		{"https://app.example.com", "internal", "", postern.CodeInternalNameInvalid},
		{"https://internal", "internal", "", postern.CodeInternalNameInvalid},
		{"https://a.b.c.d.e.internal", "", "", postern.CodeInternalNameDeep},
		{"tcp://db.internal", "", "", postern.CodeBindInvalid},
		{"tcp://", "internal", "", postern.CodeInternalNameInvalid},
		{"udp://dns.internal:53", "", "", postern.CodeOptionUnsupported},
	}
	for _, test := range tests {
		t.Run(test.url+" "+test.binding, func(t *testing.T) {
			w := newWorld(t)
			c := w.connect(link.Hello{Token: "alpha"})
			wanted := request(t, test.url)
			if test.binding != "" {
				wanted.Bindings = []string{test.binding}
			}
			if test.code != "" {
				c.refuse(t, wanted, test.code)
				if len(w.cluster.Endpoints()) != 0 {
					t.Error("a refused endpoint is online")
				}
				return
			}
			bound := c.bind(t, wanted)
			if bound.PublicURL != test.want || bound.URL.Internal() != (test.binding != "public") {
				t.Errorf("bound %s, want %s", bound.PublicURL, test.want)
			}
			if !bound.URL.Internal() {
				return
			}
			table := w.table.Load()
			if table.HTTP(bound.URL.Host, true) != nil || table.HTTP(bound.URL.Host, false) != nil || table.TLS(bound.URL.Host) != nil || table.Port(bound.URL.Port) != nil {
				t.Error("it is public")
			}
			asked := bound.URL
			if asked.Host.Wildcard() {
				asked.Host = "x." + asked.Host.Parent()
			}
			if table.Internal("ac_one", asked) == nil || table.Internal("ac_two", asked) != nil {
				t.Error("it is not within its account")
			}
		})
	}
}

// The same name may be in two accounts at once, and in one of them only if it is shared.
func TestInternalNamesAreTheAccounts(t *testing.T) {
	w := newWorld(t)
	one, other := w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "gamma"})
	wanted := request(t, "https://api.internal")
	one.bind(t, wanted)
	other.bind(t, wanted)
	again := w.connect(link.Hello{Token: "alpha"})
	again.refuse(t, wanted, postern.CodeAlreadyOnline)
	pooled := request(t, "tcp://db.internal:5432")
	pooled.Pooling = true
	one.bind(t, pooled)
	again.bind(t, pooled)
	if n := len(w.cluster.Of("ac_one")); n != 3 {
		t.Errorf("%d endpoints", n)
	}
}

// A server whose own domain is below .internal has public endpoints there.
func TestServerBelowInternal(t *testing.T) {
	w := newWorld(t, func(c *control.Config) { c.Domain = "corp.internal" })
	c := w.connect(link.Hello{Token: "alpha"})
	w.service.names["app.corp.internal"] = "ac_one"
	if bound := c.bind(t, request(t, "https://app.corp.internal")); bound.URL.Internal() || !w.reachable("app.corp.internal", true) {
		t.Errorf("%s is not public", bound.URL)
	}
	if bound := c.bind(t, request(t, "https://api.internal")); !bound.URL.Internal() {
		t.Errorf("%s is public", bound.URL)
	}
	explicit := request(t, "https://tool.corp.internal")
	explicit.Bindings = []string{"internal"}
	if bound := c.bind(t, explicit); !bound.URL.Internal() {
		t.Errorf("%s is public", bound.URL)
	}
}

func TestInternalObeysTheACL(t *testing.T) {
	w := newWorld(t)
	w.narrow("alpha", "bind:*.team.internal", "bind:api.internal:8443")
	c := w.connect(link.Hello{Token: "alpha"})
	for _, url := range []string{"https://team.internal", "https://api.internal", "tcp://db.internal:5432", "https://*.internal"} {
		c.refuse(t, request(t, url), postern.CodeNameNotAllowed)
	}
	for _, url := range []string{"https://a.team.internal", "tcp://db.team.internal:5432", "https://*.team.internal", "https://api.internal:8443"} {
		c.bind(t, request(t, url))
	}
}

// What needs the visitor's own connection is refused, rather than silently left out.
func TestInternalTakesNoTLS(t *testing.T) {
	w := newWorld(t, func(c *control.Config) {
		c.Authority = func(context.Context, postern.AccountID, string) error { return nil }
	})
	c := w.connect(link.Hello{Token: "alpha"})
	certified := request(t, "https://api.internal")
	certified.Options.MutualTLS = postern.MutualTLS{AuthorityIDs: "ca_1"}
	c.refuse(t, certified, postern.CodeBindInvalid)
	ended := request(t, "tls://db.internal")
	ended.Options.Termination = postern.AtEdge
	c.refuse(t, ended, postern.CodeBindInvalid)
}

// A token of an internal endpoint brings no name back to who asks for a public one.
func TestTokenOfInternalEndpointIsVoidOutside(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	bound := c.bind(t, request(t, "https://api.internal"))
	if err := c.Unbind(t.Context(), bound.ID); err != nil {
		t.Fatal(err)
	}
	assigned := request(t, "https://")
	assigned.Token = bound.Token
	if again := c.bind(t, assigned); again.URL.Internal() || again.URL.Host == "api.internal" {
		t.Errorf("bound %s", again.URL)
	}
}
