package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/store"
)

const (
	maxListen   = 16
	maxNetworks = 1000

	// assignments is how many addresses are tried for a gateway that names none.
	assignments = 64
	// portsTried bounds the ports of which it is looked whether they are free.
	portsTried = 128
)

// GatewayConfig is what a Service needs for private gateways; the zero value will do.
type GatewayConfig struct {
	// Listen says where they may listen; nil: allow.Loopback.
	Listen func() allow.Listen

	// Fingerprint is that of the host key which connectors are shown; nil: none is known.
	Fingerprint func() string

	// Try listens for a moment on an address, "tcp" or "udp", to see whether this machine
	// has it and nobody else holds the port; nil: it really does.
	Try func(ctx context.Context, network string, at netip.AddrPort) error
}

// gateways is a GatewayConfig with its defaults.
type gateways struct {
	listen      func() allow.Listen
	fingerprint func() string
	try         func(ctx context.Context, network string, at netip.AddrPort) error
}

func newGateways(c GatewayConfig) gateways {
	g := gateways{listen: c.Listen, fingerprint: c.Fingerprint, try: c.Try}
	if g.listen == nil {
		g.listen = allow.Loopback
	}
	if g.fingerprint == nil {
		g.fingerprint = func() string { return "" }
	}
	if g.try == nil {
		g.try = tryListening
	}
	return g
}

func tryListening(ctx context.Context, network string, at netip.AddrPort) error {
	var config net.ListenConfig
	if network == allow.UDP {
		conn, err := config.ListenPacket(ctx, network, at.String())
		if err != nil {
			return err
		}
		return conn.Close()
	}
	listener, err := config.Listen(ctx, network, at.String())
	if err != nil {
		return err
	}
	return listener.Close()
}

// placeGateway gives a gateway the addresses that are wanted, or one of its own; those
// that it has already stay as they are.
func (s *Service) placeGateway(d *draft, row *store.Gateway, wanted []string) error {
	had := row.Listen
	listen, err := readAddresses(wanted)
	if err != nil {
		return err
	}
	ports, err := allow.ParsePorts(row.Ports)
	if err != nil {
		return err
	}
	others, err := otherGateways(d, row.ID)
	if err != nil {
		return err
	}
	if len(listen) == 0 {
		if len(had) == 1 && assignable().Contains(had[0]) {
			listen = had
		} else if listen, err = s.assignAddress(d, others); err != nil {
			return err
		}
	}
	for _, addr := range listen {
		if err := s.mayListen(addr, ports); err != nil {
			return err
		}
		if err := distinguishable(addr, ports, others); err != nil {
			return err
		}
		if slices.Contains(had, addr) {
			continue // the gateway itself listens there
		}
		if err := s.canListen(d.ctx, addr, ports); err != nil {
			return err
		}
	}
	row.Listen = listen
	return nil
}

// assignable are the addresses of which gateways are given one: loopback, and far from
// 127.0.0.1, which everybody uses.
func assignable() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 64}), 10) }

// assignAddress chooses an address that no gateway has. It is one of four million at
// random, so that one which was given up is not soon another gateway's: somebody's hosts
// file may still have it.
func (s *Service) assignAddress(d *draft, others []store.Gateway) ([]netip.Addr, error) {
	var last error
	for range assignments {
		n := rand.Uint32N(1 << 22) //nolint:gosec // no secret: everybody sees the address
		addr := netip.AddrFrom4([4]byte{127, 64 | byte(n>>16), byte(n >> 8), byte(n)})
		if b := byte(n); b == 0 || b == 255 || taken(addr, others) {
			continue
		}
		if last = s.canListen(d.ctx, addr, nil); last == nil {
			return []netip.Addr{addr}, nil
		}
	}
	if last == nil {
		last = postern.Errorf(postern.CodeGatewayAddressTaken, "no address of %s is free", assignable())
	}
	return nil, last
}

func taken(addr netip.Addr, others []store.Gateway) bool {
	return slices.ContainsFunc(others, func(g store.Gateway) bool { return slices.Contains(g.Listen, addr) })
}

// mayListen refuses what the server's operator does not let gateways listen on.
func (s *Service) mayListen(addr netip.Addr, ports allow.Ports) error {
	permitted := s.gateways.listen()
	if !permitted.Addr(addr) {
		return postern.Errorf(postern.CodeGatewayListenRefused, "the field \"listen\" has %s, which gateways.listen_allow does not permit", addr)
	}
	for _, rule := range ports {
		if !rule.Any() && !permitted.Covers(addr, rule) {
			return postern.Errorf(postern.CodeGatewayListenRefused, "the field \"ports\" has %s, which gateways.listen_allow does not permit at %s", rule, addr)
		}
	}
	return nil
}

// distinguishable refuses an address that another gateway has, and one that stands for
// all of the machine's, such as 0.0.0.0, unless the ports tell the two apart.
func distinguishable(addr netip.Addr, ports allow.Ports, others []store.Gateway) error {
	for _, other := range others {
		for _, has := range other.Listen {
			if addr == has {
				return postern.Errorf(postern.CodeGatewayAddressTaken, "the field \"listen\" has %s, on which another private gateway listens", addr)
			}
			if !overlap(addr, has) && !overlap(has, addr) {
				continue
			}
			theirs, err := allow.ParsePorts(other.Ports)
			if err != nil {
				return err
			}
			if ports.Meet(theirs) {
				return postern.Errorf(postern.CodeGatewayAddressTaken,
					"the field \"listen\" has %s, and another private gateway listens on %s; both at once need lists of \"ports\" that have none in common", addr, has)
			}
		}
	}
	return nil
}

// overlap tells whether all stands for every address of the machine, one among them.
func overlap(all, one netip.Addr) bool {
	return all.IsUnspecified() && (all.Is6() || one.Is4()) // :: listens for IPv4 as well
}

// canListen looks whether the machine has an address, and whether the ports that are
// named are free.
func (s *Service) canListen(ctx context.Context, addr netip.Addr, ports allow.Ports) error {
	if err := s.gateways.try(ctx, allow.TCP, netip.AddrPortFrom(addr, 0)); err != nil {
		return postern.Errorf(postern.CodeGatewayAddressUnusable, "the field \"listen\": the server cannot listen on %s: %s", addr, reasonOf(err)).Because(err)
	}
	tried := 0
	for _, rule := range ports {
		if rule.Any() {
			continue
		}
		for network, port := range rule.Each() {
			if tried++; tried > portsTried {
				return nil
			}
			err := s.gateways.try(ctx, network, netip.AddrPortFrom(addr, port))
			if err != nil {
				return postern.Errorf(postern.CodeGatewayAddressInUse, "the server cannot listen on %s port %d of %s: %s", network, port, addr, reasonOf(err)).Because(err)
			}
		}
	}
	return nil
}

// reasonOf is what the system says, without the names of its calls.
func reasonOf(err error) string {
	if number, is := errors.AsType[syscall.Errno](err); is {
		return number.Error()
	}
	return err.Error()
}

// otherGateways are those of all accounts, but for one.
func otherGateways(d *draft, id string) ([]store.Gateway, error) {
	var others []store.Gateway
	err := eachRow(d.ctx, d.Gateways(), store.Compare{Field: "id", Op: store.Differs, Value: id}, func(row *store.Gateway) error {
		others = append(others, *row)
		return nil
	})
	return others, err
}

func readAddresses(texts []string) ([]netip.Addr, error) {
	if len(texts) > maxListen {
		return nil, postern.Errorf(postern.CodeValueInvalid, "the field \"listen\" has %d addresses, at most %d are allowed", len(texts), maxListen)
	}
	var all []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field \"listen\" has %q; write one IP address such as 127.64.0.1, without a port", clip(text))
		}
		if addr = addr.Unmap(); !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all, nil
}

func addressTexts(addrs []netip.Addr) []string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return texts
}

// readNetworks reads networks; an address alone is one, too.
func readNetworks(field string, texts []string) ([]netip.Prefix, error) {
	if len(texts) > maxNetworks {
		return nil, postern.Errorf(postern.CodeValueInvalid, "the field %q has %d networks, at most %d are allowed", field, len(texts), maxNetworks)
	}
	var all []netip.Prefix
	for _, text := range texts {
		network, ok := access.ParseNetwork(text)
		switch {
		case !ok:
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field %q has %q; write a network such as 10.1.0.0/16 or fd00::/8", field, clip(text))
		case network != network.Masked():
			return nil, postern.Errorf(postern.CodeValueInvalid, "the field %q has %s, which is not given by its first address; write %s", field, network, network.Masked())
		}
		all = append(all, network)
	}
	return all, nil
}

// readPorts checks rules about ports and gives them in their shortest form.
func readPorts(texts []string) ([]string, error) {
	rules, err := allow.ParsePorts(texts)
	return printed("ports", rules, err)
}

// readTargets does so for rules about targets.
func readTargets(texts []string) ([]string, error) {
	rules, err := allow.ParseTargets(texts)
	return printed("targets", rules, err)
}

func printed[R interface{ String() string }](field string, rules []R, err error) ([]string, error) {
	if err != nil {
		return nil, postern.Errorf(postern.CodeRuleInvalid, "the field %q: %s", field, postern.AsError(err).Text())
	}
	var texts []string
	for _, rule := range rules {
		texts = append(texts, rule.String())
	}
	return texts, nil
}
