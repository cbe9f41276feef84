package service

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// The bounds of dry runs.
const (
	mostDryRuns         = 2 // under way at once, of all accounts
	mostDryRunRequests  = 100
	dryRunTime          = 10 * time.Second
	mostPolicyDryRunURL = 8 << 10
)

// DryRunPolicy says what a policy would have made of requests. It takes ten seconds at
// most, and has no effects: the policy is compiled for this alone, and has neither
// services nor secrets nor anybody to send requests to. addresses gives IP policies; nil
// has none.
func (s *Service) DryRunPolicy(ctx context.Context, by Caller, of resource.PolicyDryRunOf, addresses func(postern.AccountID, string) (*access.List, bool)) (run resource.PolicyDryRun, err error) {
	if err := by.may(postern.Read); err != nil {
		return run, err
	}
	target := policy.Target{Scheme: postern.Scheme(cmp.Or(of.Scheme, string(postern.HTTPS)))}
	if !target.HTTP() {
		return run, postern.Errorf(postern.CodeValueInvalid, "the field \"scheme\" is %q; it must be https or http", clip(of.Scheme))
	}
	if strings.TrimSpace(of.TrafficPolicy) == "" {
		return run, postern.Errorf(postern.CodeValueInvalid, "the field \"traffic_policy\" is missing")
	}
	cases, err := dryRunCases(of.Requests)
	if err != nil {
		return run, err
	}
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	default:
		return run, postern.Errorf(postern.CodeTooManyAtOnce, "the server tries %d policies already", mostDryRuns)
	}
	program, err := s.policies.Try(of.TrafficPolicy, target)
	if err != nil {
		return run, policy.Coded(err)
	}
	world := &policy.World{}
	if addresses != nil {
		world.Addresses = func(_ postern.AccountID, id string) (*access.List, bool) { return addresses(by.Account, id) }
	}
	ctx, cancel := context.WithTimeout(ctx, dryRunTime)
	defer cancel()
	return trial.DryRun(ctx, program, target, world, cases)
}

func dryRunCases(requests []resource.PolicyDryRunRequest) ([]trial.Case, error) {
	if len(requests) == 0 || len(requests) > mostDryRunRequests {
		return nil, postern.Errorf(postern.CodeValueInvalid, "the field \"requests\" has %d items; there must be 1 to %d", len(requests), mostDryRunRequests)
	}
	cases := make([]trial.Case, len(requests))
	for i, r := range requests {
		client, err := netip.ParseAddr(cmp.Or(r.ClientIP, "203.0.113.7"))
		if err != nil {
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field \"requests[%d].client_ip\" is %q; it must be an IP address", i, clip(r.ClientIP))
		}
		if len(r.URL) > mostPolicyDryRunURL {
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field \"requests[%d].url\" has %d bytes; at most %d are allowed", i, len(r.URL), mostPolicyDryRunURL)
		}
		cases[i] = trial.Case{
			Connection: trial.Connection{Client: netip.AddrPortFrom(client, 50000).String()}, Now: r.At,
			Request:  &trial.Request{Method: r.Method, URL: r.URL, Headers: caseHeaders(r.Headers), Body: r.Body},
			Response: trial.Response{Status: r.Response.StatusCode, Headers: caseHeaders(r.Response.Headers), Body: r.Response.Body},
		}
		if err := cases[i].Check(); err != nil {
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field %q cannot be used: %s", fmt.Sprintf("requests[%d]", i), postern.AsError(err).Message)
		}
	}
	return cases, nil
}

func caseHeaders(of map[string][]string) map[string]trial.Values {
	header := make(map[string]trial.Values, len(of))
	for name, values := range of {
		header[name] = values
	}
	return header
}
