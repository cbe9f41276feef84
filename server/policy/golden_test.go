package policy_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/geo"
	"github.com/postern-dev/postern/server/policy/trial"
)

func target(scheme postern.Scheme, last bool) policy.Target {
	framing := func(name string) string {
		if strings.EqualFold(name, "content-length") {
			return "it belongs to the framing"
		}
		return ""
	}
	return policy.Target{Scheme: scheme, Last: last, Editable: policy.Editable{Request: framing, Response: framing}}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.UnmarshalWithOptions(text, into, yaml.Strict())
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// world is what the policies of golden files find.
func world() *policy.World {
	office := access.NewList([]access.Rule{{Network: netip.MustParsePrefix("192.0.2.0/24")}, {Network: netip.MustParsePrefix("192.0.2.13/32"), Deny: true}})
	return &policy.World{
		Addresses: func(_ postern.AccountID, id string) (*access.List, bool) { return office, id == "ipp_office" },
		Places:    places{},
		Calls:     others{},
	}
}

// others are servers that policies call.
type others struct{}

// Do implements policy.Caller.
func (others) Do(_ context.Context, call outcall.Call) (*outcall.Answer, error) {
	u, err := url.Parse(call.URL)
	if err != nil {
		return nil, err
	}
	switch u.Host {
	case "api.example.com":
		body := fmt.Sprintf("%s %s %s %s", call.Method, u.RequestURI(), call.Header.Get("Authorization"), call.Body)
		return &outcall.Answer{Status: 200, Header: http.Header{"X-Kind": {"echo"}}, Body: []byte(body)}, nil
	case "issuer.example":
		public := ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, ok!!")).Public().(ed25519.PublicKey)
		set := fmt.Sprintf(`{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": %q}]}`, base64.RawURLEncoding.EncodeToString(public))
		return &outcall.Answer{Status: 200, Body: []byte(set)}, nil
	}
	return nil, postern.Errorf(postern.CodeOutcallRefused, "%s has no address that the server calls", u.Host)
}

// places knows one network.
type places struct{}

func (places) knows(addr netip.Addr) bool {
	return netip.MustParsePrefix("192.0.2.0/24").Contains(addr)
}

func (p places) Place(addr netip.Addr) (at, registered geo.Place) {
	if !p.knows(addr) {
		return at, registered
	}
	return geo.Place{City: "Berlin", Country: "Germany", CountryCode: "DE", Subdivision: "Berlin", EU: true, Timezone: "Europe/Berlin",
		Latitude: "52.5", Longitude: "13.4", Radius: "20"}, geo.Place{CountryCode: "PT"}
}

func (p places) System(addr netip.Addr) geo.System {
	if !p.knows(addr) {
		return geo.System{}
	}
	return geo.System{Number: 64496, Organization: "Example Net"}
}

// Every action does what testdata/golden says; each has three cases at least.
func TestGolden(t *testing.T) {
	cases := map[string]int{}
	files, _ := filepath.Glob("testdata/golden/*/*.yaml")
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/golden/"), func(t *testing.T) {
			g, err := trial.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			at := target(g.Target, g.Last)
			program, err := policy.Compile(g.Policy, at)
			if err != nil {
				t.Fatal(err)
			}
			cases[filepath.Base(filepath.Dir(file))] += len(g.Cases)
			hold(t, program, at, g.Cases)
		})
	}
	for _, kind := range policy.Kinds() {
		if cases[kind] < 3 {
			t.Errorf("%s has %d cases in testdata/golden", kind, cases[kind])
		}
	}
}

// hold holds cases to a program.
func hold(t *testing.T, program *policy.Program, at policy.Target, cases []trial.Case) {
	t.Helper()
	for _, c := range cases {
		got, err := trial.Run(t.Context(), program, at, world(), c)
		if err != nil || c.Want == nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		for _, miss := range got.Misses(c.Want) {
			t.Errorf("%s: %s", c.Name, miss)
		}
	}
}

// refused is a file of testdata/refused: a policy, and why it is none.
type refused struct {
	Target postern.Scheme `yaml:"target"`
	Last   bool           `yaml:"last"`
	Policy string         `yaml:"policy"`
	Code   postern.Code   `yaml:"code"`
	Place  string         `yaml:"place"` // line:column
	Says   string         `yaml:"says"`
}

// What cannot be used is refused with a code, the place, and what to write.
func TestRefused(t *testing.T) {
	files, _ := filepath.Glob("testdata/refused/*.yaml")
	if len(files) < 10 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var r refused
			read(t, file, &r)
			_, err := policy.Compile(r.Policy, target(r.Target, r.Last))
			problems, _ := err.(policy.Problems)
			if !slices.ContainsFunc(problems, func(p policy.Problem) bool {
				return p.Code == r.Code && r.Place == place(p) && strings.Contains(p.Message, r.Says)
			}) {
				t.Errorf("got %v", all(problems))
			}
		})
	}
}
