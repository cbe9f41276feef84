package setup

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server"
)

// wishes are what the configuration is to say: flags first, then what the file says
// already, then answers.
func (s *Setup) wishes() ([]Wish, error) {
	a := answers{Setup: s, wishes: slices.Clone(s.Given)}
	if text, err := os.ReadFile(s.Path); err == nil {
		config, err := server.Parse(s.Path, text)
		if err != nil {
			return nil, err
		}
		a.current = &config
	}
	for _, step := range []func() error{a.domain, a.certificates, a.resolvers} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(a.wishes, func(x, y Wish) int { return order(x.Key) - order(y.Key) })
	return a.wishes, nil
}

// order is where a key stands in the documentation.
func order(key string) int {
	return slices.IndexFunc(server.Settings(), func(s server.Setting) bool { return s.Key == key })
}

type answers struct {
	*Setup
	current *server.Config // of the file; nil: there is none
	wishes  []Wish
}

// has tells what a key is to be, as far as that is known.
func (a *answers) has(key string) (string, bool) {
	for _, wish := range a.wishes {
		if wish.Key == key {
			return wish.Value, true
		}
	}
	return "", false
}

func (a *answers) wish(key, value string) { a.wishes = append(a.wishes, Wish{key, value}) }

// mayAsk tells whether a question is for now: not of a file that is there, which has its
// answers, nor where nobody is to be asked.
func (a *answers) mayAsk() bool { return a.current == nil && !a.Yes && !a.CheckOnly }

func (a *answers) domain() error {
	if _, given := a.has("domain"); given {
		return nil
	}
	if a.current != nil && a.current.Domain != "" {
		a.wish("domain", string(a.current.Domain))
		return nil
	}
	if !a.mayAsk() {
		return postern.Errorf(postern.CodeFlagInvalid, "there is no %s yet that says the domain; give --domain example.com", a.Path)
	}
	for {
		line, err := a.Console.Ask("The domain below which everything of this server lives (example.com)", "")
		if err != nil {
			return err
		}
		_, err = server.Parse("the answer", []byte(compose([]Wish{{"domain", line}})))
		if err == nil && line != "" {
			a.wish("domain", line)
			return nil
		}
		a.Console.Tell("%q is not a domain such as example.com.\n", line)
	}
}

// certificates settles where certificates come from.
func (a *answers) certificates() error {
	mode, given := a.has("tls.mode")
	if !given && a.current == nil && Available("tls.email") {
		mode = "acme"
		if a.mayAsk() {
			agreed, err := a.Console.Confirm("Get certificates that every browser trusts, from Let's Encrypt or another authority with ACME (no: from this server's own authority)?", true)
			if err != nil {
				return err
			}
			if !agreed {
				mode = server.ModeLocalCA
			}
		}
		a.wish("tls.mode", mode)
	}
	if _, given := a.has("tls.email"); given || mode != "acme" || !a.mayAsk() {
		return nil
	}
	line, err := a.Console.Ask("The e-mail address at which the authority reaches you about the certificates (may be left out)", "")
	if err == nil && line != "" {
		a.wish("tls.email", line)
	}
	return err
}

// resolvers settles whether the server answers DNS.
func (a *answers) resolvers() error {
	if _, given := a.has("listen.dns"); given || !a.mayAsk() || !Available("listen.dns") {
		return a.regions()
	}
	agreed, err := a.Console.Confirm("Will accounts bring domains of their own (custom wildcard domains, agent ingresses)? That needs port 53 and two NS records", false)
	if err != nil || !agreed {
		return err
	}
	a.wish("listen.dns", ":53")
	return a.regions()
}

// regions gives the server's answers the addresses that they lead to.
func (a *answers) regions() error {
	at, _ := a.has("listen.dns")
	if _, given := a.has("regions"); given || at == "" || a.current != nil {
		return nil
	}
	ours := a.Addresses
	if len(ours) == 0 {
		all, err := a.Interfaces()
		if err != nil {
			return err
		}
		ours = Public(all)
	}
	if len(ours) == 0 {
		return postern.Errorf(postern.CodeFlagInvalid, "a server that answers DNS must know its public addresses; give them with --address")
	}
	texts := make([]string, len(ours))
	for i, addr := range ours {
		texts[i] = addr.String()
	}
	a.wish("regions", server.Default().Region+"="+strings.Join(texts, "+"))
	return nil
}

// PortsOf are the ports of a configuration that strangers have to reach.
func PortsOf(c server.Config) []Port {
	var ports []Port
	for _, one := range []struct{ key, network, purpose string }{
		{"listen.https", "tcp", "visitors and agents"},
		{"listen.http", "tcp", "http:// endpoints and proofs for certificates"},
		{"listen.agent", "tcp", "agents alone"},
		{"listen.ssh", "tcp", "SSH clients"},
		{"listen.dns", "udp", "resolvers"},
		{"listen.dns", "tcp", "resolvers"},
	} {
		if address := settingOf(one.key).Value(c); address != "" {
			ports = append(ports, Port{Network: one.network, Address: address, For: one.purpose})
		}
	}
	return ports
}

// here is how this machine reaches a listener of its own.
func here(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
