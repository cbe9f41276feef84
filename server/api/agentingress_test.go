package api_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// The ingress of the customer's network, as ngrok's guide makes it: with its headers, and
// its answer key by key.
func TestCreateAgentIngress(t *testing.T) {
	w := newWorldOf(t, func(c *service.Config) { c.Regions = []string{"eu"} })
	made := w.does(201, "POST", "/agent_ingresses", `{"description":"Custom ingress for ACME","domain":"connect.acme-bank.com"}`)
	id := idIn(made)
	want := object{
		"id": "agin_<ksuid>", "uri": "/agent_ingresses/" + id, "description": "Custom ingress for ACME", "metadata": "",
		"domain":         "connect.acme-bank.com",
		"ns_targets":     []any{"ns1.example.com", "ns2.example.com", "ns3.example.com", "ns4.example.com"},
		"region_domains": []any{"tunnel.eu.connect.acme-bank.com"},
		"created_at":     "<time>Z", "certificate_management_policy": nil, "certificate_management_status": nil,
	}
	shaped(t, "the answer", made, want)
	if len(id) != len("agin_")+27 {
		t.Errorf("id %s", id)
	}
	list := w.does(200, "GET", "/agent_ingresses", nil)
	shaped(t, "the list", list, object{"ingresses": []any{made}, "uri": base + "/agent_ingresses", "next_page_uri": nil})
	if again := w.does(200, "GET", "/agent_ingresses/"+id, nil); !reflect.DeepEqual(again, made) {
		t.Errorf("shown as %v, made as %v", again, made)
	}
}

func TestAgentIngresses(t *testing.T) {
	w := newWorld(t)
	const path = "/agent_ingresses"
	other := w.stranger()
	other.does(201, "POST", "/reserved_domains", object{"domain": "theirs.org"})
	id := idIn(w.does(201, "POST", path, object{"domain": "Connect.Mine.org."}))
	for _, c := range []struct {
		domain string
		code   postern.Code
	}{
		{"", postern.CodeIngressDomainInvalid}, {"word", postern.CodeIngressDomainInvalid}, {"*.mine.org", postern.CodeIngressDomainInvalid},
		{"https://connect.mine.org", postern.CodeIngressDomainInvalid}, {"co.uk", postern.CodeIngressDomainInvalid}, {"10.0.0.1", postern.CodeIngressDomainInvalid},
		{"connect.example.com", postern.CodeIngressDomainOwn}, {"example.com", postern.CodeIngressDomainOwn},
		{"connect.mine.org", postern.CodeIngressExists},
	} {
		w.refused(400, c.code, "POST", path, object{"domain": c.domain})
	}
	w.does(201, "POST", path, object{"domain": "eu.connect.mine.org"})
	other.refused(400, postern.CodeIngressExists, "POST", path, object{"domain": "x.connect.mine.org"})
	other.refused(400, postern.CodeIngressExists, "POST", path, object{"domain": "mine.org"})
	w.refused(400, postern.CodeIngressDomainInvalid, "POST", path, object{"domain": "connect.theirs.org"})
	w.refused(400, postern.CodeAuthorityInvalid, "POST", path, object{"domain": "a.org", "certificate_management_policy": object{"authority": "acme"}})
	w.refused(400, postern.CodeKeyTypeInvalid, "POST", path, object{"domain": "a.org", "certificate_management_policy": object{"authority": "letsencrypt", "private_key_type": "dsa"}})

	managed := w.does(201, "POST", path, object{"domain": "a.org", "certificate_management_policy": object{"authority": "letsencrypt"}})
	shaped(t, "the policy", managed["certificate_management_policy"], object{"authority": "letsencrypt", "private_key_type": "rsa"})
	shaped(t, "the status", managed["certificate_management_status"], object{"renews_at": nil, "provisioning_job": object{
		"error_code": nil, "msg": "Managed certificate provisioning in progress.", "started_at": "<time>Z", "retries_at": nil}})
	if got := w.does(200, "PATCH", path+"/"+idIn(managed), object{"certificate_management_policy": nil, "description": "x"}); got["certificate_management_policy"] != nil || got["description"] != "x" {
		t.Errorf("changed to %v", got)
	}
	w.refused(400, postern.CodeFieldUnknown, "PATCH", path+"/"+id, object{"domain": "b.org"})
	for _, method := range []string{"GET", "DELETE"} {
		other.refused(404, "", method, path+"/"+id, nil)
	}
	w.does(200, "PATCH", path+"/"+id, object{"metadata": "m"})
	w.does(204, "DELETE", path+"/"+id, nil)
	w.refused(404, "", "GET", path+"/"+id, nil)
	if want := []postern.EventType{event.IngressCreated, event.IngressUpdated, event.IngressDeleted}; !slices.Equal(w.subjects(id), want) {
		t.Errorf("events %v, want %v", w.subjects(id), want)
	}
}

func TestReservedAddrs(t *testing.T) {
	const path = "/reserved_addrs"
	w := newWorldOf(t, func(c *service.Config) {
		c.Regions, c.TCPPorts = []string{"eu"}, service.PortRange{First: 20000, Last: 20003}
		c.InUse = func() []postern.Endpoint {
			return []postern.Endpoint{{URL: postern.URL{Scheme: postern.TCP, Port: 20003}}}
		}
	})
	other := w.stranger()
	credential, _, err := w.service.Authenticate(t.Context(), w.first.Authtoken)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.service.ClaimPort(t.Context(), credential, postern.TCP, 20001); err != nil {
		t.Fatal(err)
	}
	w.refused(400, postern.CodeRegionInvalid, "POST", path, object{"region": "mars"})
	first := w.does(201, "POST", path, object{"description": "ssh", "metadata": "m"})
	shaped(t, "the answer", first, object{
		"id": "ra_<ksuid>", "uri": base + path + "/" + idIn(first), "created_at": "<time>Z", "description": "ssh", "metadata": "m",
		"addr": "tcp.example.com:<port>", "region": "eu", "endpoint_configuration": nil,
	})
	second := other.does(201, "POST", path, object{"region": "eu"})
	addrs := []string{fmt.Sprint(first["addr"]), fmt.Sprint(second["addr"])}
	slices.Sort(addrs)
	if want := []string{"tcp.example.com:20000", "tcp.example.com:20002"}; !slices.Equal(addrs, want) {
		t.Errorf("given %v, want %v: the others are held or in use", addrs, want)
	}
	w.refused(400, postern.CodeNoAddressFree, "POST", path, object{})

	one := path + "/" + idIn(first)
	w.refused(400, postern.CodeAddressUnchanged, "PATCH", one, object{})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", one, object{"addr": "x:1"})
	if got := w.does(200, "PATCH", one, object{"description": ""}); got["description"] != "" || got["addr"] != first["addr"] {
		t.Errorf("changed to %v", got)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		other.refused(404, "", method, one, nil)
	}
	w.does(204, "DELETE", one, nil)
	if again := other.does(201, "POST", path, object{}); again["addr"] != first["addr"] {
		t.Errorf("the port is not free again: %v", again)
	}
	if want := []postern.EventType{event.AddressCreated, event.AddressUpdated, event.AddressDeleted}; !slices.Equal(w.subjects(idIn(first)), want) {
		t.Errorf("events %v, want %v", w.subjects(idIn(first)), want)
	}
}
