package api_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// shaped compares an object with an example of its shape: exactly its keys, and values
// of the same JSON types. Texts in angle brackets stand for any text, everything else is
// compared.
func shaped(t *testing.T, where string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case object:
		have, is := got.(object)
		if !is {
			t.Errorf("%s is %v, want an object", where, got)
			return
		}
		if keys, wanted := slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)); !slices.Equal(keys, wanted) {
			t.Errorf("%s has the keys %v, want %v", where, keys, wanted)
		}
		for key := range want {
			shaped(t, where+"."+key, have[key], want[key])
		}
	case string:
		text, is := got.(string)
		prefix, open, any := strings.Cut(want, "<")
		if _, suffix, _ := strings.Cut(open, ">"); !is || any && !(strings.HasPrefix(text, prefix) && strings.HasSuffix(text, suffix) && len(text) > len(prefix)+len(suffix)) || !any && text != want {
			t.Errorf("%s is %v, want %s", where, got, want)
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", where, got, want)
		}
	}
}

// The wildcard domain of the customer's first site, as ngrok's guide reserves it.
func TestReserveWildcardDomain(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/reserved_domains", `{"domain":"*.customer1.acme-bank.com","region":"us"}`)
	shaped(t, "the answer", made, object{
		"id": "rd_<ksuid>", "uri": base + "/reserved_domains/<id>", "created_at": "<time>Z",
		"description": "", "metadata": "",
		"domain": "*.customer1.acme-bank.com", "region": "",
		"cname_target": "<random>.dns.example.com", "acme_challenge_cname_target": "<random>.acme.dns.example.com",
		"http_endpoint_configuration": nil, "https_endpoint_configuration": nil,
		"certificate": nil, "certificate_management_policy": object{"authority": "letsencrypt", "private_key_type": "ecdsa"},
		"certificate_management_status": object{"renews_at": nil, "provisioning_job": object{
			"error_code": nil, "msg": "Managed certificate provisioning in progress.", "started_at": made["created_at"], "retries_at": nil}},
		"resolves_to": []any{}, "is_dev": false, "error_redirect_url": nil,
	})
	id, _ := made["id"].(string)
	if len(id) != len("rd_")+27 || made["uri"] != base+"/reserved_domains/"+id {
		t.Errorf("id %s, uri %s", id, made["uri"])
	}
	if again := w.does(200, "GET", "/reserved_domains/"+id, nil); !reflect.DeepEqual(again, made) {
		t.Errorf("shown as %v, made as %v", again, made)
	}
	second := w.does(201, "POST", "/reserved_domains", object{"domain": "*.customer2.acme-bank.com"})
	if second["cname_target"] == made["cname_target"] || second["acme_challenge_cname_target"] == made["acme_challenge_cname_target"] {
		t.Errorf("two reservations share a target: %v and %v", made, second)
	}
}

func TestReservedDomainKinds(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		body           object
		domain         string
		cname, acme    bool
		policy, status any
	}{
		{object{"domain": "shop"}, "shop.example.com", false, false, nil, nil},
		{object{"name": "old-word", "region": "eu"}, "old-word.example.com", false, false, nil, nil},
		{object{"domain": "*.Team.Example.com."}, "*.team.example.com", false, false, nil, nil},
		{object{"domain": "bücher.de"}, "xn--bcher-kva.de", true, false, object{"authority": "letsencrypt", "private_key_type": "ecdsa"}, object{}},
		{object{"domain": "a.org", "certificate_management_policy": object{"authority": "letsencrypt", "private_key_type": "rsa"}}, "a.org", true, false, object{"authority": "letsencrypt", "private_key_type": "rsa"}, object{}},
		{object{"domain": "*.b.org", "certificate_management_policy": object{"authority": "letsencrypt"}, "https_endpoint_configuration_id": "ec_1"}, "*.b.org", true, true, object{"authority": "letsencrypt", "private_key_type": "ecdsa"}, object{}},
		{object{"domain": "c.org", "certificate_management_policy": nil, "certificate_id": "", "resolves_to": []any{object{"value": "global"}}}, "c.org", true, false, object{"authority": "letsencrypt", "private_key_type": "ecdsa"}, object{}},
	} {
		made := w.does(201, "POST", "/reserved_domains", c.body)
		if made["domain"] != c.domain || made["region"] != "" || (made["cname_target"] != nil) != c.cname || (made["acme_challenge_cname_target"] != nil) != c.acme ||
			!reflect.DeepEqual(made["certificate_management_policy"], c.policy) || (made["certificate_management_status"] != nil) != (c.status != nil) {
			t.Errorf("%v made %v", c.body, made)
		}
	}
	if list := w.does(200, "GET", "/reserved_domains?limit=3", nil); len(ids(list, "reserved_domains")) != 3 || list["next_page_uri"] == nil {
		t.Errorf("the list is %v", list)
	}
}

func TestReservedDomainRefusals(t *testing.T) {
	w := newWorld(t)
	w.does(201, "POST", "/reserved_domains", object{"domain": "mine.org"})
	part64 := strings.Repeat("a", 64)
	for domain, code := range map[string]postern.Code{
		"":                                postern.CodeValueInvalid,
		"a.*.org":                         postern.CodeWildcardNotFirst,
		"a*.ex.org":                       postern.CodeWildcardNotAlone,
		"**.ex.org":                       postern.CodeWildcardNotAlone,
		"ex ample.org":                    postern.CodeDomainCharacter,
		"https://ex.org":                  postern.CodeDomainCharacter,
		"-a.ex.org":                       postern.CodeDomainPartStart,
		"a-.ex.org":                       postern.CodeDomainPartEnd,
		"a..ex.org":                       postern.CodeDomainPartEmpty,
		".ex.org":                         postern.CodeDomainPartEmpty,
		"ab--c.ex.org":                    postern.CodeDomainHyphens,
		"a.ex.lan":                        postern.CodeDomainNotPublic,
		"a.internal":                      postern.CodeDomainNotPublic,
		"mine.org":                        postern.CodeDomainYours,
		"MINE.ORG.":                       postern.CodeDomainYours,
		"*.co.uk":                         postern.CodeDomainTooWide,
		"*.com":                           postern.CodeDomainTooWide,
		"co.uk":                           postern.CodeDomainTooWide,
		"*":                               postern.CodeDomainTooWide,
		"xn--zzzzzz.org":                  postern.CodeDomainPunycode,
		"xn--a.org":                       postern.CodeDomainPunycode,
		"ü ü.org":                         postern.CodeDomainPunycode,
		"a_b.org":                         postern.CodeDomainUnderscore,
		"10.1.2.3":                        postern.CodeDomainNotQualified,
		"api.example.com":                 postern.CodeDomainNotAllowed,
		"x.dashboard.example.com":         postern.CodeDomainNotAllowed,
		"example.com":                     postern.CodeDomainNotAllowed,
		"*.example.com":                   postern.CodeDomainNotAllowed,
		part64 + ".org":                   postern.CodeDomainPartTooLong,
		strings.Repeat("a.", 130) + "org": postern.CodeDomainTooLong,
	} {
		w.refused(400, code, "POST", "/reserved_domains", object{"domain": domain})
	}
	letsencrypt := object{"authority": "letsencrypt", "private_key_type": "ecdsa"}
	for code, body := range map[postern.Code]object{
		postern.CodeDomainNamedTwice:     {"domain": "a.org", "name": "b.org"},
		postern.CodeCertificateTwofold:   {"domain": "a.org", "certificate_id": "cert_1", "certificate_management_policy": letsencrypt},
		postern.CodeDomainAuthority:      {"domain": "a.org", "certificate_management_policy": object{"authority": "acme"}},
		postern.CodeKeyTypeInvalid:       {"domain": "a.org", "certificate_management_policy": object{"authority": "letsencrypt", "private_key_type": "dsa"}},
		postern.CodeOwnDomainPolicy:      {"domain": "own", "certificate_management_policy": letsencrypt},
		postern.CodeOwnDomainCertificate: {"domain": "own", "certificate_id": "cert_1"},
		postern.CodeValueInvalid:         {"domain": "a.org", "resolves_to": []any{object{"value": "mars"}}},
		postern.CodeFieldUnknown:         {"domain": "a.org", "certificate_management_policy": object{"authority": "letsencrypt", "key": ""}},
	} {
		w.refused(400, code, "POST", "/reserved_domains", body)
	}
	if got := ids(w.does(200, "GET", "/reserved_domains", nil), "reserved_domains"); len(got) != 1 {
		t.Errorf("refusals left something: %v", got)
	}
}

func TestReservedDomainChanges(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/reserved_domains", object{"domain": "a.org", "description": "x"})
	path := "/reserved_domains/" + made["id"].(string)
	w.refused(400, postern.CodeDomainUnchanged, "PATCH", path, object{})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", path, object{"domain": "b.org"})
	w.refused(400, postern.CodeCertificateManaged, "DELETE", path+"/certificate", nil)

	// Terraform sends both together: an empty id is no certificate.
	rsa := object{"authority": "letsencrypt", "private_key_type": "rsa"}
	if got := w.does(200, "PATCH", path, object{"certificate_id": "", "certificate_management_policy": rsa}); !reflect.DeepEqual(got["certificate_management_policy"], rsa) || got["description"] != "x" {
		t.Errorf("changed to %v", got)
	}
	if got := w.does(200, "PATCH", path, object{"certificate_management_policy": nil}); got["certificate_management_policy"] != nil || got["certificate_management_status"] != nil {
		t.Errorf("null left %v", got)
	}
	w.does(204, "DELETE", path+"/certificate", nil)
	w.does(200, "PATCH", path, object{"certificate_management_policy": rsa})
	w.does(204, "DELETE", path+"/certificate_management_policy", nil)
	if got := w.does(200, "GET", path, nil); got["certificate_management_policy"] != nil {
		t.Errorf("the policy is still %v", got)
	}
	w.refused(400, postern.CodeValueInvalid, "PATCH", path, object{"certificate_id": "cert_nobody"})
	own := w.does(201, "POST", "/reserved_domains", object{"domain": "own"})
	w.refused(400, postern.CodeOwnDomainPolicy, "PATCH", "/reserved_domains/"+own["id"].(string), object{"certificate_management_policy": rsa})
	w.refused(400, postern.CodeOwnDomainCertificate, "PATCH", "/reserved_domains/"+own["id"].(string), object{"certificate_id": "cert_1"})
	w.does(200, "PATCH", "/reserved_domains/"+own["id"].(string), object{"certificate_id": "", "certificate_management_policy": nil})

	w.does(204, "DELETE", path, nil)
	w.refused(404, "", "GET", path, nil)
	w.refused(404, "", "DELETE", path+"/certificate", nil)
	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject == made["id"] && (len(kinds) == 0 || kinds[len(kinds)-1] != e.Type) {
			kinds = append(kinds, e.Type)
		}
	}
	if want := []postern.EventType{event.DomainCreated, event.DomainUpdated, event.DomainDeleted}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func TestReservedDomainsOfOthers(t *testing.T) {
	w := newWorld(t)
	other := w.stranger()
	id := w.does(201, "POST", "/reserved_domains", object{"domain": "x.mine.org"})["id"].(string)
	w.does(201, "POST", "/reserved_domains", object{"domain": "*.wild.org"})
	for domain, code := range map[string]postern.Code{
		"x.mine.org":   postern.CodeDomainTaken,
		"y.x.mine.org": postern.CodeDomainNotAllowed,
		"*.x.mine.org": postern.CodeDomainNotAllowed,
		"mine.org":     postern.CodeWildcardConflict,
		"*.mine.org":   postern.CodeWildcardConflict,
		"a.b.wild.org": postern.CodeDomainNotAllowed,
	} {
		other.refused(400, code, "POST", "/reserved_domains", object{"domain": domain})
	}
	other.does(201, "POST", "/reserved_domains", object{"domain": "x-mine.org"})
	w.does(201, "POST", "/reserved_domains", object{"domain": "*.mine.org"}) // around one's own
	for _, method := range []string{"GET", "DELETE"} {
		other.refused(404, "", method, "/reserved_domains/"+id, nil)
	}
	other.refused(404, "", "PATCH", "/reserved_domains/"+id, object{"description": "mine"})
	other.refused(404, "", "DELETE", "/reserved_domains/"+id+"/certificate", nil)
	other.refused(404, "", "DELETE", "/reserved_domains/"+id+"/certificate_management_policy", nil)
	if got := ids(other.does(200, "GET", "/reserved_domains", nil), "reserved_domains"); len(got) != 1 {
		t.Errorf("the other account sees %v", got)
	}
	w.does(204, "DELETE", "/reserved_domains/"+id, nil)
}

// A name that another account's endpoints use is not to be had.
func TestReservedDomainInUse(t *testing.T) {
	w := newWorld(t)
	other := w.stranger()
	credential, _, err := w.service.Authenticate(t.Context(), w.first.Authtoken)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.service.ClaimName(t.Context(), credential, "live.team.example.com"); err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"live.team", "*.live.team.example.com", "team", "x.live.team.example.com"} {
		if domain == "live.team" {
			domain += ".example.com"
		}
		other.refused(400, postern.CodeDomainInUse, "POST", "/reserved_domains", object{"domain": domain})
	}
	w.does(201, "POST", "/reserved_domains", object{"domain": "live.team.example.com"})
}

// records is a DNS that knows some names.
type records struct {
	cname map[string]string
	ip    map[string][]netip.Addr
	txt   map[string][]string
}

func (r *records) LookupCNAME(_ context.Context, host string) (string, error) {
	if target := r.cname[host]; target != "" {
		return target, nil
	}
	if i := strings.IndexByte(host, '.'); r.cname["*"+host[i:]] != "" {
		return r.cname["*"+host[i:]], nil
	}
	return "", errors.New("no such host")
}

func (r *records) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if found := r.ip[host]; found != nil {
		return found, nil
	}
	return nil, errors.New("no such host")
}

func (r *records) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("without a deadline")
	}
	return r.txt[name], nil
}

func TestDanglingRecords(t *testing.T) {
	us, elsewhere := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	dns := &records{
		cname: map[string]string{"stale.org.": "abc.def.dns.example.com.", "*.wild.org.": "x.dns.example.com.", "cdn.org.": "edge.cdn.net.", "same.org.": "same.org."},
		ip:    map[string][]netip.Addr{"connect.example.com.": {us}, "apex.org.": {elsewhere, us}, "cdn.org.": {elsewhere}, "same.org.": {elsewhere}},
	}
	w := newWorldOf(t, func(c *service.Config) { c.DNS = dns })
	w.does(201, "POST", "/reserved_domains", object{"domain": "stale.org"}) // one account: nothing to take over
	w.does(204, "DELETE", "/reserved_domains/"+ids(w.does(200, "GET", "/reserved_domains", nil), "reserved_domains")[0], nil)
	other := w.stranger()
	other.refused(400, postern.CodeDomainDanglingCNAME, "POST", "/reserved_domains", object{"domain": "stale.org"})
	other.refused(400, postern.CodeDomainDanglingCNAME, "POST", "/reserved_domains", object{"domain": "*.wild.org"})
	other.refused(400, postern.CodeDomainDanglingAddress, "POST", "/reserved_domains", object{"domain": "apex.org"})
	for _, domain := range []string{"cdn.org", "same.org", "nothing.org", "*.nothing2.org", "below"} {
		other.does(201, "POST", "/reserved_domains", object{"domain": domain})
	}
}

func TestDomainsNeedProof(t *testing.T) {
	dns := &records{txt: make(map[string][]string)}
	w := newWorldOf(t, func(c *service.Config) { c.DNS, c.ProveDomains = dns, true })
	w.does(201, "POST", "/reserved_domains", object{"domain": "alone.org"})
	other := w.stranger()
	proofOf := func(w *world, domain string) string {
		message := w.refused(400, postern.CodeDomainUnproven, "POST", "/reserved_domains", object{"domain": domain})
		_, rest, _ := strings.Cut(message, "_postern-challenge.shop.org with the value \"")
		value, _, found := strings.Cut(rest, `"`)
		if !found || len(value) < 20 {
			t.Fatalf("the message does not name the record: %s", message)
		}
		return value
	}
	mine, theirs := proofOf(w, "shop.org"), proofOf(other, "*.shop.org")
	if mine == theirs || proofOf(w, "*.shop.org") != mine {
		t.Errorf("proofs %q and %q", mine, theirs)
	}
	dns.txt["_postern-challenge.shop.org."] = []string{"v=spf1 -all", theirs}
	proofOf(w, "shop.org")
	other.does(201, "POST", "/reserved_domains", object{"domain": "*.shop.org"})
	w.does(201, "POST", "/reserved_domains", object{"domain": "below"})
	dns.txt["_postern-challenge.shop.org."] = nil
}

// An uploaded certificate takes a policy's place, and a policy that of a certificate.
func TestReservedDomainWithUploadedCertificate(t *testing.T) {
	w := newWorld(t)
	chain, key := certificate(t)
	upload := func(w *world) string {
		return idIn(w.does(201, "POST", "/tls_certificates", object{"certificate_pem": chain, "private_key_pem": key}))
	}
	mine, theirs := upload(w), upload(w.stranger())
	made := w.does(201, "POST", "/reserved_domains", object{"domain": "a.org", "certificate_id": mine})
	shaped(t, "the certificate", made["certificate"], object{"id": mine, "uri": base + "/tls_certificates/" + mine})
	if made["certificate_management_policy"] != nil || made["certificate_management_status"] != nil || made["cname_target"] == nil {
		t.Errorf("made %v", made)
	}
	path := "/reserved_domains/" + idIn(made)
	w.refused(400, postern.CodeValueInvalid, "POST", "/reserved_domains", object{"domain": "b.org", "certificate_id": theirs})
	w.refused(400, postern.CodeValueInvalid, "PATCH", path, object{"certificate_id": theirs})
	w.refused(400, postern.CodeCertificateInUse, "DELETE", "/tls_certificates/"+mine, nil)

	w.does(200, "PATCH", path, object{"description": "x"})
	if got := w.does(200, "GET", path, nil); got["certificate"] == nil {
		t.Errorf("another change took the certificate away: %v", got)
	}
	policy := object{"authority": "letsencrypt", "private_key_type": "ecdsa"}
	if got := w.does(200, "PATCH", path, object{"certificate_management_policy": policy}); got["certificate"] != nil || got["certificate_management_status"] == nil {
		t.Errorf("with a policy: %v", got)
	}
	if got := w.does(200, "PATCH", path, object{"certificate_id": mine}); got["certificate"] == nil || got["certificate_management_policy"] != nil {
		t.Errorf("with a certificate again: %v", got)
	}
	w.refused(400, postern.CodeCertificateTwofold, "PATCH", path, object{"certificate_id": mine, "certificate_management_policy": policy})
	w.does(204, "DELETE", path+"/certificate", nil)
	if got := w.does(200, "GET", path, nil); got["certificate"] != nil || got["certificate_management_policy"] != nil {
		t.Errorf("without one: %v", got)
	}
	w.does(204, "DELETE", "/tls_certificates/"+mine, nil)
}
