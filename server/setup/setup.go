package setup

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/pki/dnscheck"
)

// Console is the person who sets up a server, or the flags that speak for one.
type Console interface {
	// Ask returns a line, otherwise where nothing is typed.
	Ask(question, otherwise string) (string, error)
	// Confirm asks for yes or no.
	Confirm(question string, otherwise bool) (bool, error)
	// Tell shows text.
	Tell(format string, values ...any)
}

// Setup is one run. Path, Console, Resolver, Network, Run, Interfaces, Bootstrap and Now
// must be set.
type Setup struct {
	Path      string       // of the configuration
	Given     []Wish       // what flags say about the configuration
	Addresses []netip.Addr // the machine's public ones; none: those of its interfaces

	CheckOnly bool // look, and change nothing
	Yes       bool // ask nothing
	Overwrite bool // a configuration or a unit that differs is replaced unasked
	Force     bool // go on although a check has failed
	NoService bool // have nothing run the server

	Console    Console
	Resolver   Resolver
	Walks      dnscheck.Resolver // asks the zones' own servers
	Network    Network
	Run        Run
	Interfaces func() ([]netip.Addr, error)
	Executable string // this program's path
	// Manager finds what runs services here.
	Manager   func() (Manager, error)
	Bootstrap func(ctx context.Context, c server.Config) (server.Keys, error)
	Probe     string // a label that has no record of its own
	Now       func() time.Time
}

// Go does it all. Errors are *postern.Error: CodeSetupChecks where a check has failed,
// CodeConfigInvalid, CodeFileUnreadable, CodeServiceManager, CodeSetupDeclined where
// somebody said no, and those of Bootstrap.
func (s *Setup) Go(ctx context.Context) error {
	wishes, err := s.wishes()
	if err != nil {
		return err
	}
	file, err := PlanFile(s.Path, wishes)
	if err != nil {
		return err
	}
	if err := s.look(ctx, file.Config); err != nil || s.CheckOnly {
		return err
	}
	if err := s.write(file); err != nil {
		return err
	}
	if s.NoService {
		return s.byHand(ctx, file.Config)
	}
	manager, err := s.Manager()
	if err != nil {
		s.Console.Tell("%s\n", postern.AsError(err).Text())
		return s.byHand(ctx, file.Config)
	}
	if err := s.serve(ctx, manager, file); err != nil {
		return err
	}
	return s.finish(ctx, file.Config)
}

// look makes the checks and shows what they found.
func (s *Setup) look(ctx context.Context, c server.Config) error {
	ours, err := s.public(ctx, c)
	if err != nil {
		return err
	}
	s.Console.Tell("Checking what %s needs. This machine's public addresses: %s.\n\n", c.Domain, orNone(ours))
	found := s.checks(ctx, c, ours)
	var text strings.Builder
	if err := found.Write(&text); err != nil {
		return err
	}
	s.Console.Tell("%s\n", text.String())
	failed := found.Failed()
	if failed == 0 || s.Force && !s.CheckOnly {
		return nil
	}
	refusal := postern.Errorf(postern.CodeSetupChecks, "%d of %d checks failed; change what is said behind each arrow, and run this again", failed, len(found))
	if s.CheckOnly || s.Yes {
		return refusal
	}
	goOn, err := s.Console.Confirm(fmt.Sprintf("%d checks failed. Go on none the less?", failed), false)
	if err == nil && !goOn {
		err = refusal
	}
	return err
}

func orNone(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "not known"
	}
	return list(addrs)
}

// public are the addresses that names must lead to: those given, those in the
// configuration, or those of the interfaces. Behind a router that translates, none is
// found; then somebody is asked.
func (s *Setup) public(_ context.Context, c server.Config) ([]netip.Addr, error) {
	if len(s.Addresses) > 0 {
		return s.Addresses, nil
	}
	all, err := s.Interfaces()
	if err != nil {
		return nil, postern.Errorf(postern.CodeInternal, "this machine's addresses cannot be read").Because(err)
	}
	if found := Public(all); len(found) > 0 || s.Yes || s.CheckOnly {
		return found, nil
	}
	line, err := s.Console.Ask("This machine's own addresses are private. By which public addresses is it reached (none: not known)", "")
	if err != nil {
		return nil, err
	}
	return ParseAddresses(line)
}

// ParseAddresses reads addresses between commas or blanks. Errors are CodeFlagInvalid.
func ParseAddresses(text string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		addr, err := netip.ParseAddr(word)
		if err != nil {
			return nil, postern.Errorf(postern.CodeFlagInvalid, "%.60q is not an IP address", word)
		}
		all = append(all, addr.Unmap())
	}
	return all, nil
}

// checks are those that a configuration calls for.
func (s *Setup) checks(ctx context.Context, c server.Config, ours []netip.Addr) Findings {
	ports := PortsOf(c)
	found := Names(ctx, s.Resolver, c.Domain, s.Probe, ours)
	if base := c.BaseDomain(); base != c.Domain {
		found = append(found, leads(ctx, s.Resolver, join(s.Probe, base), join("*", base), ours))
	}
	running := ready(ctx, c) == nil
	if c.Listen.DNS != "" {
		walk, within, done := s.Walks.Walk(ctx)
		found = append(found, Delegation(within, walk, c.Domain, c.NameServers(), ours, running)...)
		done()
	}
	found = append(found, Ports(ctx, s.Network, ports, ours, running)...)
	found = append(found, Firewall(ctx, s.Run, ports)...)
	if settingOf("tls.mode").Value(c) == "acme" {
		found = append(found, s.authority(ctx, c)...)
	}
	return found
}

// authority looks at who is to issue certificates.
func (s *Setup) authority(ctx context.Context, c server.Config) Findings {
	client, err := DirectoryClient(c.ACME.CARoot)
	if err != nil {
		return Findings{{Check: "acme", Status: Failed, Text: err.Error(), Fix: "Correct tls.ca_root."}}
	}
	directories := c.ACME.Directories
	if len(directories) == 0 {
		directories = []string{LetsEncrypt}
	}
	var found Findings
	var issuers []string
	for _, url := range directories {
		f, names := Directory(ctx, client, url, c.ACME.EABKeyID != "", s.Now)
		found, issuers = append(found, f), append(issuers, names...)
	}
	if len(issuers) == 0 {
		return found
	}
	walk, within, done := s.Walks.Walk(ctx)
	defer done()
	return append(found, Authorisation(within, walk, c.Domain, issuers))
}

// write puts the configuration in its place, with consent where it changes one.
func (s *Setup) write(file File) error {
	s.Console.Tell("%s.\n", file.Say())
	if !file.Changed() {
		return nil
	}
	if !file.New {
		s.Console.Tell("%s", file.Diff())
		if err := s.consent("Change "+file.Path+" like this?", "the configuration"); err != nil {
			return err
		}
	}
	if err := file.Write(); err != nil {
		return err
	}
	s.Console.Tell("%s\n", indented(string(file.After)))
	return nil
}

// consent asks before something of a person's is replaced.
func (s *Setup) consent(question, what string) error {
	if s.Overwrite {
		return nil
	}
	if s.Yes {
		return postern.Errorf(postern.CodeSetupDeclined, "%s is there already and differs, as shown; --overwrite replaces it", what)
	}
	agreed, err := s.Console.Confirm(question, false)
	if err == nil && !agreed {
		err = postern.Errorf(postern.CodeSetupDeclined, "%s stays as it is; nothing was changed", what)
	}
	return err
}

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

// ready asks the server whether it serves.
func ready(ctx context.Context, c server.Config) error {
	if c.Listen.Admin == "" {
		return postern.Errorf(postern.CodeSetupUnhealthy, "listen.admin is off, so nobody can be asked whether the server is ready")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+here(c.Listen.Admin)+"/readyz", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return postern.Errorf(postern.CodeSetupUnhealthy, "the server answers %s", response.Status)
	}
	return nil
}

// fileOwner gives the group of the server's user a file to read.
func fileOwner(path string, group int) error {
	if err := os.Chown(path, -1, group); err != nil {
		return postern.Errorf(postern.CodeFileUnreadable, "%s cannot be given to the group %s: %v", path, User, err).Because(err)
	}
	return nil
}
