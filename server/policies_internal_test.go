package server

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// A rule that keeps strangers out by where they are keeps nobody out on a server without a
// database of places, and whoever runs it is told so.
func TestPoliciesWithoutPlacesAreWarned(t *testing.T) {
	const text = "on_http_request:\n- expressions: [\"conn.geo.country_code != 'DE' || conn.client_ip.as.number != 64496\"]\n  actions: [{type: deny}]\n"
	for want, set := range map[string]Geo{
		"geo.file is not set, geo.as_file is not set": {},
		"geo.as_file is not set":                      {File: "cities.mmdb"},
		"geo.file is not set":                         {ASFile: "networks.mmdb"},
		"":                                            {File: "cities.mmdb", ASFile: "networks.mmdb"},
	} {
		program, err := newPolicies(set).Compile("owner", text, policy.Target{Scheme: postern.HTTPS})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, warning := range program.Warnings() {
			why, _, _ := strings.Cut(warning.Message, ", so this server does not know ")
			got = append(got, why)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%+v: %q, not %q", set, got, want)
		}
	}
}
