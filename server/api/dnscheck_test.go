package api_test

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/pki/dnscheck"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// S1-20: "Check Status". Each step of the guide turns one verdict into another.
func TestRecordsAreChecked(t *testing.T) {
	zone := "acme.org. SOA ns.acme.org. x.acme.org. 1 2 3 4 5\nacme.org. NS ns.acme.org.\nns.acme.org. A 198.51.100.53\n"
	i := nameserver.NewInternet()
	i.Host("9.9.9.9", i.Resolve)
	publish := func(records string) {
		t.Helper()
		i.Host("198.51.100.53", nameserver.Parse(t, zone+records).Answer, "acme.org.")
	}
	publish("")
	w := newWorldOf(t, func(c *service.Config) {
		c.Checks = service.RecordChecks{Regions: []dnscheck.Region{{Name: "eu", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
			Issuers: func() []string { return []string{"letsencrypt.org"} },
			Resolver: func() dnscheck.Resolver {
				return dnscheck.Resolver{Recursive: []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53")}, Exchange: i.Exchange}
			}}
	})
	made := w.does(201, "POST", "/reserved_domains", object{"domain": "*.customer1.acme.org"})
	check := "/reserved_domains/" + idIn(made) + "/check"
	target, challenge := made["cname_target"].(string), made["acme_challenge_cname_target"].(string)
	records := func(answer object) string {
		var all []string
		for _, record := range answer["records"].([]any) {
			one := record.(object)
			text := one["status"].(string) + " " + one["type"].(string)
			if code, is := one["code"].(string); is {
				text += " " + code
			}
			all = append(all, text)
		}
		return answer["status"].(string) + ": " + strings.Join(all, ", ")
	}
	expect := func(want string) {
		t.Helper()
		if got := records(w.does(200, "POST", check, object{})); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	first := w.does(200, "POST", check, nil)
	shaped(t, "the check", first, object{"domain": "*.customer1.acme.org", "status": "problem", "checked_at": "<time>Z", "records": []any{
		object{"type": "CNAME", "name": "*.customer1.acme.org", "status": "problem", "code": "ERR_NGROK_425", "want": []any{target}, "have": []any{},
			"msg": "*.customer1.acme.org has no CNAME record; create one that points to " + target},
		object{"type": "CNAME", "name": "_acme-challenge.customer1.acme.org", "status": "problem", "code": "ERR_NGROK_442", "want": []any{challenge}, "have": []any{},
			"msg": "_acme-challenge.customer1.acme.org has no CNAME record; create one that points to " + challenge},
		object{"type": "CAA", "name": "org", "status": "problem", "code": "ERR_NGROK_26027", "want": []any{}, "have": []any{},
			"msg": "org could not be looked up: SERVFAIL"},
	}})
	i.Host("198.51.100.54", nameserver.Parse(t, "org. SOA a. b. 1 2 3 4 5").Answer, "org.")
	publish("*.customer1.acme.org. CNAME " + target + ".")
	expect("problem: ok CNAME, problem CNAME ERR_NGROK_444, ok CAA")
	publish("*.customer1.acme.org. CNAME " + target + ".\n_acme-challenge.customer1.acme.org. CNAME " + challenge + ".\nacme.org. CAA 0 issue \"other.org\"")
	expect("problem: ok CNAME, ok CNAME, problem CAA ERR_NGROK_26000")
	publish("*.customer1.acme.org. CNAME " + target + ".\n_acme-challenge.customer1.acme.org. CNAME " + challenge + ".")
	expect("ok: ok CNAME, ok CNAME, ok CAA")

	check = "/agent_ingresses/" + idIn(w.does(201, "POST", "/agent_ingresses", object{"domain": "connect.acme.org"})) + "/check"
	expect("problem: problem NS ERR_NGROK_6702")
	publish("connect.acme.org. NS ns.elsewhere.net.")
	expect("problem: problem NS ERR_NGROK_6703")

	own := w.does(201, "POST", "/reserved_domains", object{"domain": "shop.example.com"})
	check = "/reserved_domains/" + idIn(own) + "/check"
	expect("ok: ok CNAME ERR_NGROK_424, ok CNAME ERR_NGROK_441")
	w.refused(400, postern.CodeFieldUnknown, "POST", check, object{"domain": "x"})
	w.stranger().refused(404, "", "POST", check, nil)
	w.refused(404, "", "POST", "/reserved_domains/rd_2abc/check", nil)
}

// A certificate that waits because records were wrong is got as soon as a check finds them
// right; where the server certifies ingresses, one without a policy is certified, too.
func TestAGoodCheckBringsACertificateForward(t *testing.T) {
	i := nameserver.NewInternet()
	i.Host("9.9.9.9", i.Resolve)
	publish := func(records string) {
		t.Helper()
		i.Host("198.51.100.53", nameserver.Parse(t, "acme.org. SOA ns.acme.org. x.acme.org. 1 2 3 4 5\nacme.org. NS ns.acme.org.\nns.acme.org. A 198.51.100.53\n"+records).Answer, "acme.org.")
	}
	publish("")
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	mended := 0
	w := newWorldOf(t, func(c *service.Config) {
		c.Now, c.Certifies = now, "ecdsa"
		c.Checks = service.RecordChecks{Regions: []dnscheck.Region{{Name: "eu", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}, NoZone: true,
			Mended: func() { mended++ },
			Resolver: func() dnscheck.Resolver {
				return dnscheck.Resolver{Recursive: []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:53")}, Exchange: i.Exchange}
			}}
	})
	made := w.does(201, "POST", "/agent_ingresses", object{"domain": "connect.acme.org"})
	if made["certificate_management_policy"] != nil || made["certificate_management_status"] != nil {
		t.Errorf("an ingress without a policy shows %v", made)
	}
	jobs := w.service.Certificates()
	due := func() []store.CertificateJob {
		t.Helper()
		all, err := jobs.Claim(t.Context(), "a process", now().Add(time.Minute), 10)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := due()
	if len(first) != 1 || first[0].Name != "connect.acme.org" || first[0].Kind != store.JobIngress {
		t.Fatalf("the work is %+v", first)
	}
	first[0].Attempts, first[0].ErrorCode, first[0].Message, first[0].DueAt = 1, acme.RecordsError, "No delegation.", now().Add(time.Hour)
	if err := jobs.Save(t.Context(), first[0]); err != nil {
		t.Fatal(err)
	}
	check := "/agent_ingresses/" + idIn(made) + "/check"
	checked := func(status string, brought int) {
		t.Helper()
		ahead.Add(int64(10 * time.Second))
		if answer := w.does(200, "POST", check, nil); answer["status"] != status || mended != brought {
			t.Errorf("%v, and the work was brought forward %d times, want %s and %d", answer, mended, status, brought)
		}
	}
	checked("problem", 0)
	publish("connect.acme.org. A 192.0.2.1\ntunnel.eu.connect.acme.org. A 192.0.2.1\n")
	checked("ok", 1)
	checked("ok", 1) // it is due already
	if again := due(); len(again) != 1 || again[0].ID != first[0].ID {
		t.Errorf("the work is %+v", again)
	}
	w.does(204, "DELETE", strings.TrimSuffix(check, "/check"), nil)
	if rest, err := w.service.Certificates().Claim(t.Context(), "another", now().Add(time.Minute), 10); err != nil || len(rest) > 0 {
		t.Errorf("of a deleted ingress there is left: %+v %v", rest, err)
	}
}

func TestChecksNeedAResolver(t *testing.T) {
	w := newWorld(t)
	id := idIn(w.does(201, "POST", "/reserved_domains", object{"domain": "app.acme.org"}))
	w.refused(400, postern.CodeDNSLookupFailed, "POST", "/reserved_domains/"+id+"/check", nil)
}
