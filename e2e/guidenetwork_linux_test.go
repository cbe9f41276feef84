package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Addresses of the hosts of the guide's network. The server's own is the test's network
// namespace, through which the others reach each other.
const (
	serverAddr   = "10.9.0.1"
	parentAddr   = "10.9.1.2" // who holds the parent zones
	resolverAddr = "10.9.1.3" // whom everybody asks
	issuerAddr   = "10.9.2.2" // who issues certificates
	vendorAddr   = "10.9.3.2"
	siteAddr     = "10.9.4.2"
)

// vendorDomain is the vendor's own, whose records it holds itself.
const vendorDomain = "acme.org"

// guideNetwork is the world of the site-to-site guide: hosts of the vendor, the customer's
// site, the server, the holder of the parent zones and the issuer of certificates.
type guideNetwork struct {
	t                            *testing.T
	parent, issuer, vendor, site *place
	authority                    *process            // nsd
	resolver                     *process            // unbound
	zones                        map[string][]string // records by the parent zone
}

// newGuideNetwork makes the hosts and runs the servers of the parent zones and of
// everybody's look-ups: nsd, and unbound that follows delegations from there.
func newGuideNetwork(t *testing.T) *guideNetwork {
	t.Helper()
	run(t, nil, "ip", "addr", "add", serverAddr+"/32", "dev", "lo")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := &guideNetwork{t: t}
	for i, host := range []struct {
		name, address string
		made          **place
	}{{"parent", parentAddr, &n.parent}, {"issuer", issuerAddr, &n.issuer}, {"vendor", vendorAddr, &n.vendor}, {"site", siteAddr, &n.site}} {
		ours := fmt.Sprintf("10.9.%d.1", i+1)
		p := newPlace(t, host.name, ours+"/24", host.address+"/24")
		p.run("ip", "route", "add", "default", "via", ours)
		p.names()
		p.run("mount", "--bind", p.file("resolv.conf", "nameserver "+resolverAddr+"\n"), "/etc/resolv.conf")
		*host.made = p
	}
	n.parent.run("ip", "addr", "add", resolverAddr+"/24", "dev", "eth0")
	n.startNSD()
	n.startUnbound()
	return n
}

// startNSD serves two parent zones: the operator's, which delegates what the server answers
// for, and the vendor's.
func (n *guideNetwork) startNSD() {
	p := n.parent
	state := p.directory("nsd")
	n.zones = map[string][]string{domain: {"@ A " + serverAddr, "* A " + serverAddr}, vendorDomain: nil}
	for i := range 4 {
		n.zones[domain] = append(n.zones[domain], fmt.Sprintf("ns%d A %s", i+1, serverAddr), fmt.Sprintf("dns NS ns%d", i+1))
	}
	n.write(domain)
	n.write(vendorDomain)
	config := p.file("nsd.conf", fmt.Sprintf(`server:
	ip-address: %[1]s
	server-count: 1
	do-ip6: no
	username: ""
	zonesdir: "%[2]s"
	pidfile: "%[3]s/pid"
	zonelistfile: "%[3]s/zones"
	xfrdfile: "%[3]s/xfrd"
	xfrdir: "%[3]s"
	logfile: "%[3]s/log"
remote-control:
	control-enable: no
zone:
	name: %[4]s
	zonefile: %[4]s.zone
zone:
	name: %[5]s
	zonefile: %[5]s.zone
`, parentAddr, p.dir, state, domain, vendorDomain))
	n.authority = p.start("nsd", "nsd", "-d", "-c", config)
}

// startUnbound runs the resolver, which begins at the parent zones and notes who asks for
// what.
func (n *guideNetwork) startUnbound() {
	config := n.parent.file("unbound.conf", fmt.Sprintf(`server:
	interface: %[1]s
	access-control: 10.9.0.0/16 allow
	do-daemonize: no
	do-ip6: no
	num-threads: 1
	username: ""
	chroot: ""
	pidfile: ""
	use-syslog: no
	log-queries: yes
	module-config: "iterator"
	local-zone: "test." nodefault
	cache-max-ttl: 1
	cache-max-negative-ttl: 1
	infra-host-ttl: 1
remote-control:
	control-enable: no
stub-zone:
	name: %[3]s
	stub-addr: %[2]s
stub-zone:
	name: %[4]s
	stub-addr: %[2]s
`, resolverAddr, parentAddr, domain, vendorDomain))
	n.resolver = n.parent.start("unbound", "unbound", "-d", "-c", config)
	eventually(n.t, 20*time.Second, func() error {
		if answer := n.parent.run("sh", "-c", "dig +short +tries=1 +time=1 @"+resolverAddr+" connect."+domain+" || true"); strings.TrimSpace(answer) != serverAddr {
			return fmt.Errorf("the resolver answers %q", answer)
		}
		return nil
	})
}

// write writes the file of a parent zone.
func (n *guideNetwork) write(zone string) {
	n.t.Helper()
	text := fmt.Sprintf("$ORIGIN %s.\n$TTL 1\n@ SOA ns0 hostmaster %d 60 60 600 1\n@ NS ns0\nns0 A %s\n%s\n",
		zone, len(n.zones[zone])+1, parentAddr, strings.Join(n.zones[zone], "\n"))
	if err := os.WriteFile(filepath.Join(n.parent.dir, zone+".zone"), []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// adds has who holds a parent zone create records, and waits until they are served.
func (n *guideNetwork) adds(zone string, records ...string) {
	n.t.Helper()
	marker := fmt.Sprintf("made-%d", len(n.zones[zone]))
	n.zones[zone] = append(append(n.zones[zone], records...), marker+" TXT done")
	n.write(zone)
	n.authority.signal(syscall.SIGHUP)
	eventually(n.t, 20*time.Second, func() error {
		if answer := n.parent.run("sh", "-c", "dig +short +tries=1 +time=1 @"+parentAddr+" TXT "+marker+"."+zone+" || true"); !strings.Contains(answer, "done") {
			return fmt.Errorf("the zone does not have the new records: %q", answer)
		}
		return nil
	})
}

// lookedUp returns the names that a host has asked the resolver for, without the last dot.
func (n *guideNetwork) lookedUp(address string) (names []string) {
	for line := range strings.Lines(n.resolver.output()) {
		if fields := strings.Fields(line); len(fields) > 4 {
			if at := slices.Index(fields, address); at >= 0 && at+1 < len(fields) {
				names = append(names, strings.ToLower(strings.TrimSuffix(fields[at+1], ".")))
			}
		}
	}
	return names
}
