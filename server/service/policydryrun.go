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
	"github.com/postern-dev/postern/server/outcall"
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
// most, and has no effects: the policy is compiled for this alone, and there are no
// services. Of w it has the account's secrets and IP policies, and places; whom it makes
// requests to is asked only where of says so.
func (s *Service) DryRunPolicy(ctx context.Context, by Caller, of resource.PolicyDryRunOf, w policy.World) (run resource.PolicyDryRun, err error) {
	needed := postern.Read
	if of.MakeCalls {
		needed = postern.Write
	}
	if err := by.may(needed); err != nil {
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
	world := by.dryRunWorld(w, of.MakeCalls)
	ctx, cancel := context.WithTimeout(ctx, dryRunTime)
	defer cancel()
	return trial.DryRun(ctx, program, target, world, cases)
}

// dryRunWorld is what a policy may use of w in a dry run. By which rules match, whoever
// writes one can find out a secret: that is for those who could let it be sent anywhere.
func (c Caller) dryRunWorld(w policy.World, calls bool) *policy.World {
	world := &policy.World{Places: w.Places}
	if w.Addresses != nil {
		world.Addresses = func(_ postern.AccountID, id string) (*access.List, bool) { return w.Addresses(c.Account, id) }
	}
	if w.Secret != nil {
		world.Secret = func(ctx context.Context, _ postern.AccountID, vault, name string) (postern.Secret, error) {
			if err := c.may(postern.Write); err != nil {
				return "", err
			}
			return w.Secret(ctx, c.Account, vault, name)
		}
	}
	if calls && w.Calls != nil {
		world.Calls = callsOf{w.Calls, c.Account}
	}
	return world
}

// callsOf makes calls in an account's name.
type callsOf struct {
	policy.Caller
	account postern.AccountID
}

// Do implements policy.Caller.
func (c callsOf) Do(ctx context.Context, call outcall.Call) (*outcall.Answer, error) {
	call.Account = c.account
	return c.Caller.Do(ctx, call)
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
