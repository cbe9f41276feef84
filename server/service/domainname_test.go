package service_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// What people write where a name is wanted, and what becomes of it as a reserved domain and
// as an agent ingress: "ok", the name that it is kept as where that differs, or the
// number of the code that says what is wrong.
func TestNames(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	by := service.Caller{Account: c.Account, Role: postern.Owner, Source: service.SourceServer}
	for _, one := range []struct{ name, reserved, ingress string }{
		{"app.acme.org", "ok", "ok"},
		{"APP.Acme.ORG", "app.acme.org", "app.acme.org"},
		{"app.acme.org.", "app.acme.org", "app.acme.org"},
		{"app.acme.org..", "409", "6704"},
		{".app.acme.org", "409", "6704"},
		{"app..acme.org", "409", "6704"},
		{"", "215", "6704"},
		{".", "215", "6704"},
		{"..", "409", "6704"},
		{" ", "406", "6704"},
		{"app.acme.org ", "406", "6704"},
		{" app.acme.org", "406", "6704"},
		{"app acme.org", "406", "6704"},
		{"app\t.acme.org", "406", "6704"},
		{"app\x00.acme.org", "406", "6704"},
		{"app\n.acme.org", "406", "6704"},
		{"app.acme.org\r\nx", "406", "6704"},
		{"*.acme.org", "ok", "6704"},
		{"*", "416", "6704"},
		{"*.", "416", "6704"},
		{"**.acme.org", "403", "6704"},
		{"a*.acme.org", "403", "6704"},
		{"*a.acme.org", "403", "6704"},
		{"a.*.acme.org", "402", "6704"},
		{"*.*.acme.org", "402", "6704"},
		{"*.com", "416", "6705"},
		{"*.co.uk", "416", "6704"},
		{"*.github.io", "416", "6704"},
		{"com", "com.example.com", "6704"},
		{"co.uk", "416", "6704"},
		{"github.io", "416", "6704"},
		{"org.", "org.example.com", "6704"},
		{strings.Repeat("a", 63) + ".acme.org", "ok", "ok"},
		{strings.Repeat("a", 64) + ".acme.org", "513", "6704"},
		{"*." + strings.Repeat("a", 63) + ".org", "ok", "6704"},
		{strings.Repeat("a.", 122) + "acme.org", "ok", "6704"},
		{strings.Repeat("a.", 123) + "acme.org", "514", "6704"},
		{strings.Repeat("ü", 60) + ".acme.org", "513", "6704"},
		{"-app.acme.org", "407", "6704"},
		{"app-.acme.org", "408", "6704"},
		{"a--b.acme.org", "ok", "ok"},
		{"ab--c.acme.org", "410", "6704"},
		{"xn--.acme.org", "408", "6704"},
		{"xn--a.acme.org", "429", "6704"},
		{"xn--mnchen-3ya.de", "ok", "ok"},
		{"XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
		{"xn--mnchen-3ya-.de", "408", "6704"},
		{"münchen.de", "xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
		{"MÜNCHEN.de", "xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
		{"faß.de", "xn--fa-hia.de", "xn--fa-hia.de"},
		{"例え.jp", "xn--r8jz45g.jp", "xn--r8jz45g.jp"},
		{"ا.ب.org", "xn--mgb.xn--ngb.org", "xn--mgb.xn--ngb.org"},
		{"x\u200d.acme.org", "429", "6704"},
		{"a。acme。org", "a.acme.org", "a.acme.org"},
		{"ａｐｐ.acme.org", "app.acme.org", "app.acme.org"},
		{"☃.acme.org", "xn--n3h.acme.org", "xn--n3h.acme.org"},
		{"á.acme.org", "xn--1ca.acme.org", "xn--1ca.acme.org"},
		{"\u202eapp.acme.org", "429", "6704"},
		{"💩.acme.org", "xn--ls8h.acme.org", "xn--ls8h.acme.org"},
		{"xn--ls8h.acme.org", "ok", "ok"},
		{"xn--0.acme.org", "429", "6704"},
		{"_dmarc.acme.org", "438", "6704"},
		{"app_x.acme.org", "438", "6704"},
		{"_acme-challenge.acme.org", "438", "6704"},
		{"192.0.2.1", "448", "6704"},
		{"192.0.2.1.", "448", "6704"},
		{"[2001:db8::1]", "406", "6704"},
		{"2001:db8::1", "406", "6704"},
		{"0x7f.1", "448", "6704"},
		{"127.1", "448", "6704"},
		{"app.acme.123", "448", "6704"},
		{"1.2.3.4.in-addr.arpa", "ok", "ok"},
		{"localhost", "localhost.example.com", "6704"},
		{"app.localhost", "411", "6704"},
		{"app.local", "411", "6704"},
		{"app.internal", "411", "6704"},
		{"app.invalid", "411", "6704"},
		{"app.test", "411", "6704"},
		{"app.onion", "411", "6704"},
		{"app.acme.corp", "411", "6704"},
		{"app.acme.zzzz", "411", "6704"},
		{"https://app.acme.org", "406", "6704"},
		{"app.acme.org/x", "406", "6704"},
		{"app.acme.org:443", "406", "6704"},
		{"user@acme.org", "406", "6704"},
		{"app.acme.org?x", "406", "6704"},
		{"app.acme.org#x", "406", "6704"},
		{"app\\.acme.org", "406", "6704"},
		{"app\\046.acme.org", "406", "6704"},
		{"app%2eacme.org", "406", "6704"},
		{"{name}", "406", "6704"},
		{"“app.acme.org”", "406", "6704"},
		{"app,acme.org", "406", "6704"},
		{"$(id).acme.org", "406", "6704"},
		{"'; drop table domains;--.org", "406", "6704"},
		{"<b>.acme.org", "406", "6704"},
		{"example.com", "450", "6705"},
		{"api.example.com", "450", "6705"},
		{"shop.example.com", "ok", "6705"},
		{"dns.example.com", "450", "6705"},
		{"x.dns.example.com", "450", "6705"},
		{"ns1.example.com", "450", "6705"},
	} {
		domain, err := w.ReservedDomains().Create(t.Context(), by, resource.ReservedDomainCreate{Domain: one.name})
		if got := outcome(one.name, domain.Domain, err); got != one.reserved {
			t.Errorf("%q as a reserved domain: %s, want %s (%v)", one.name, got, one.reserved, err)
		}
		if err == nil {
			if err := w.ReservedDomains().Delete(t.Context(), by, domain.ID); err != nil {
				t.Fatal(err)
			}
		}
		ingress, err := w.AgentIngresses().Create(t.Context(), by, resource.AgentIngressCreate{Domain: one.name})
		if got := outcome(one.name, ingress.Domain, err); got != one.ingress {
			t.Errorf("%q as an agent ingress: %s, want %s (%v)", one.name, got, one.ingress, err)
		}
		if err == nil {
			if err := w.AgentIngresses().Delete(t.Context(), by, ingress.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func outcome(asked, kept string, err error) string {
	switch {
	case err != nil:
		return strings.TrimPrefix(string(postern.AsError(err).Code), "ERR_NGROK_")
	case kept == asked:
		return "ok"
	}
	return kept
}
