package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// bomb is a policy of some hundred bytes that stands for half a thousand million items.
func bomb() string {
	text := "tunnels:\n  web:\n    proto: http\n    addr: 80\n    traffic_policy:\n      a: &a [" + strings.Repeat("x,", 9) + "x]\n"
	for c := 'b'; c < 'i'; c++ {
		before := "*" + string(c-1)
		text += "      " + string(c) + ": &" + string(c) + " [" + strings.Repeat(before+",", 9) + before + "]\n"
	}
	return text
}

// A file that somebody else wrote takes neither time nor memory out of proportion.
func TestShapesThatAreRefused(t *testing.T) {
	long := func(part string) string { return strings.Repeat(part, 1<<15/len(part)) }
	for name, text := range map[string]string{
		"bomb":      bomb(),
		"cycle":     "tunnels:\n  web:\n    traffic_policy: &a {x: *a}\n",
		"brackets":  "metadata: " + long("["),
		"braces":    "metadata: " + long("{a: "),
		"dashes":    long("- ") + "a",
		"questions": long("? ") + "a",
		"colons":    long("a: ") + "a",
		"anchors":   "a: " + long("&x ") + "a",
		"tags":      "a: " + long("!!x ") + "a",
		"in flow":   "a: [" + long("&x ") + "a]",
		"documents": long("---\na: b\n"),
		"large":     strings.Repeat("# \n", 1<<19),
		"wildcard":  "tunnels:\n  web: {proto: http, addr: 80, domain: *.example.com}\n",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := config.Parse("f.yml", []byte(text))
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(err.Error(), "f.yml:") {
				t.Errorf("Parse: %v", err)
			}
			if name == "wildcard" && !strings.Contains(err.Error(), "begins with * needs quotes") {
				t.Errorf("no hint: %v", err)
			}
			if _, err := config.Upgrade("f.yml", []byte(text), "3"); !postern.HasCode(err, postern.CodeConfigInvalid) {
				t.Errorf("Upgrade: %v", err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// What people write is not taken for those.
func TestShapesThatAreTaken(t *testing.T) {
	for _, text := range []string{
		"---\nversion: 2\n---\n",
		"web_allow_hosts: [" + strings.Repeat("h.example.com, ", 500) + "x]\n",
		"tunnels:\n" + strings.Repeat("\n", 10) + "  a: {proto: http, addr: 80, domain: '*.example.com'}\n",
		"metadata: '" + strings.Repeat("[", 1000) + "'\n",
		"metadata: |\n  " + strings.Repeat("[ - ? : ", 400) + "\n",
	} {
		if _, err := config.Parse("f.yml", []byte(text)); err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// What several endpoints share is written once, as people do.
func TestAnchors(t *testing.T) {
	const text = `version: 2
tunnels:
  web: &web
    proto: http
    addr: 80
    host_header: &host app.example.com
    schemes: &schemes [https]
  api:
    <<: *web
    addr: 81
  old: {<<: [{addr: 82}, *web], schemes: *schemes, hostname: *host}
`
	c, err := config.Parse("f.yml", []byte(text))
	if err != nil || len(c.Endpoints) != 3 {
		t.Fatalf("%v, %d endpoints", err, len(c.Endpoints))
	}
	for i, want := range []string{"80", "81", "82"} {
		if e := c.Endpoints[i]; !strings.HasSuffix(e.Upstream, want) || e.HostHeader != "app.example.com" {
			t.Errorf("endpoint %d is %+v, want port %s", i, e, want)
		}
	}
	upgraded, err := config.Upgrade("f.yml", []byte(text), "3")
	if err != nil {
		t.Fatal(err)
	}
	if after, err := config.Parse("f.yml", upgraded.Text); err != nil || len(after.Endpoints) != 3 || !strings.HasSuffix(after.Endpoints[1].Upstream, "81") {
		t.Errorf("upgraded to %s: %v", upgraded.Text, err)
	}
	if _, err := config.Parse("f.yml", []byte("tunnels:\n  web:\n    <<: [[{proto: http}]]\n    addr: 80\n")); err == nil || !strings.Contains(err.Error(), "f.yml:3:") {
		t.Errorf("a list in a list was merged: %v", err)
	}
}
