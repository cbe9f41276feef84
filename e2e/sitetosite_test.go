package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// curl runs a line of the site-to-site guide, with our address and CA and the key, and
// returns the status and the body.
func (s *server) curl(args ...string) (status string, body map[string]any) {
	s.t.Helper()
	argv := append([]string{"--silent", "--show-error", "--write-out", "\n%{http_code}", "--cacert", s.caFile,
		"--connect-to", fmt.Sprintf("api.%s:443:127.0.0.1:%d", domain, s.https),
		"-H", "Authorization: Bearer " + s.APIKey, "-H", "Content-Type: application/json", "-H", "Ngrok-Version: 2"}, args...)
	output, err := exec.CommandContext(s.t.Context(), "curl", argv...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("curl %v: %v\n%s", args, err, output)
	}
	text := string(output)
	end := strings.LastIndexByte(text, '\n')
	if err := json.Unmarshal([]byte(text[:end]), &body); err != nil {
		s.t.Fatalf("curl %v: not JSON: %v\n%s", args, err, text)
	}
	return text[end+1:], body
}

// shape holds a body against what its keys must be: a pattern for a text, "null", "true",
// "list N", or a map for an object. No other key may be there.
func shape(t *testing.T, where string, got map[string]any, want map[string]any) {
	t.Helper()
	have, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if !slices.Equal(have, wanted) {
		t.Errorf("%s has the keys %v, want %v", where, have, wanted)
	}
	for key, expected := range want {
		value := got[key]
		if below, is := expected.(map[string]any); is {
			object, _ := value.(map[string]any)
			shape(t, where+"."+key, object, below)
			continue
		}
		pattern, _ := expected.(string)
		var text string
		switch value := value.(type) {
		case nil:
			text = "null"
		case string:
			text = value
		case []any:
			text = fmt.Sprint("list ", len(value))
		default:
			text = fmt.Sprint(value)
		}
		if !regexp.MustCompile("^(" + pattern + ")$").MatchString(text) {
			t.Errorf("%s.%s is %q, want %s", where, key, text, pattern)
		}
	}
}

const (
	ksuidPattern = "[0-9A-Za-z]{27}"
	timePattern  = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
)

// S1-11, S1-12, S1-14, S1-16, S1-17, S1-21: the calls of the guide, with the real curl, give
// what the guide shows.
func TestCallsOfTheSiteToSiteGuide(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	api := "https://api." + domain

	ingress := map[string]any{
		"id": "agin_" + ksuidPattern, "uri": "/agent_ingresses/agin_" + ksuidPattern, "description": "agent ingress", "metadata": "",
		"domain": "connect\\.acme\\.com", "ns_targets": "list 4", "region_domains": "list [1-9]", "created_at": timePattern,
		"certificate_management_policy": "null", "certificate_management_status": "null",
	}
	status, body := s.curl(api+"/agent_ingresses", "-d", `{"description":"agent ingress","domain":"connect.acme.com"}`) // S1-11
	if status != "201" {
		t.Errorf("S1-11: %s %v", status, body)
	}
	shape(t, "S1-12", body, ingress)

	status, body = s.curl(api + "/agent_ingresses") // S1-14
	list, _ := body["ingresses"].([]any)
	if status != "200" || len(list) != 1 {
		t.Fatalf("S1-14: %s %v", status, body)
	}
	first, _ := list[0].(map[string]any)
	shape(t, "S1-14", first, ingress)

	status, body = s.curl(api+"/reserved_domains", "-d", `{"domain":"*.customer1.acme.com","region":"us"}`) // S1-16
	if status != "201" {
		t.Errorf("S1-16: %s %v", status, body)
	}
	for _, undocumented := range []string{"is_dev", "error_redirect_url"} {
		delete(body, undocumented) // ngrok shows them too
	}
	shape(t, "S1-17", body, map[string]any{
		"id": "rd_" + ksuidPattern, "uri": "https://api\\.postern\\.test(:\\d+)?/reserved_domains/rd_" + ksuidPattern, "created_at": timePattern,
		"description": "", "metadata": "", "domain": `\*\.customer1\.acme\.com`, "region": "", "cname_target": `[0-9a-z.]+\.dns\.postern\.test`,
		"http_endpoint_configuration": "null", "https_endpoint_configuration": "null", "certificate": "null", "resolves_to": "list \\d",
		"certificate_management_policy": map[string]any{"authority": "letsencrypt", "private_key_type": "ecdsa"},
		"certificate_management_status": map[string]any{"renews_at": "null", "provisioning_job": map[string]any{
			"error_code": "null", "msg": "Managed certificate provisioning in progress\\.", "started_at": timePattern, "retries_at": "null"}},
		"acme_challenge_cname_target": `[0-9a-z.]+\.acme\.dns\.postern\.test`,
	})

	status, body = s.curl(api+"/bot_users", "-d", `{"name":"customer1"}`) // S1-21
	if status != "201" {
		t.Errorf("S1-21: %s %v", status, body)
	}
	shape(t, "S1-21", body, map[string]any{"id": "bot_" + ksuidPattern, "uri": "https://api\\.postern\\.test(:\\d+)?/bot_users/bot_" + ksuidPattern,
		"name": "customer1", "active": "true", "created_at": timePattern})

	// S1-22, S1-23: a token of its own for each agent, which the bot user owns.
	bot, _ := body["id"].(string)
	status, body = s.curl(api+"/credentials", "-d", fmt.Sprintf(`{"description":"site 1","owner_id":%q,"acl":["bind:*.customer1.acme.com"]}`, bot))
	if status != "201" || body["owner_id"] != bot || body["token"] == nil {
		t.Errorf("S1-22: %s %v", status, body)
	}
}
