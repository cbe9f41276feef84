package server

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Setting is one key of the configuration. The same table gives the keys of the
// file, the flags and the environment variables, so that none can be forgotten.
type Setting struct {
	Key      string // "listen.https"
	Argument string // what a value looks like: "ADDRESS"
	About    string // one sentence
	Live     bool   // a reload applies it; other keys need a restart

	list   bool     // a sequence in the file, commas on the command line
	fields []string // keys of an item that may be written as a mapping
	lists  []string // further keys of such an item, which may be left out and hold several values
	secret bool     // nobody is shown the value
	future bool     // no code implements it yet: only its empty default is accepted
	set    func(c *Config, values []string) error
	show   func(c Config) string  // without secrets
	same   func(a, b Config) bool // nil: what show shows is the same
}

// Flag is the long flag's name: "listen-https".
func (s Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// Env is the environment variable's name: "POSTERN_LISTEN_HTTPS".
func (s Setting) Env() string {
	return "POSTERN_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Unavailable tells that no code implements the key yet: only its default is
// accepted.
func (s Setting) Unavailable() bool { return s.future }

// Several tells whether it is a list.
func (s Setting) Several() bool { return s.list }

// Value gives the setting's text in c, as a flag would take it, but for a secret, which
// is masked.
func (s Setting) Value(c Config) string { return s.show(c) }

// equal tells whether two configurations agree on the setting.
func (s Setting) equal(a, b Config) bool {
	if s.same != nil {
		return s.same(a, b)
	}
	return s.show(a) == s.show(b)
}

// setText takes a flag's or a variable's text.
func (s Setting) setText(c *Config, text string) error {
	if !s.list {
		return s.set(c, []string{text})
	}
	var values []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			values = append(values, item)
		}
	}
	return s.set(c, values)
}

// scalar makes a setting of one value out of a parser and a printer.
func scalar[T any](key, argument, about string, field func(*Config) *T, parse func(string) (T, error), print func(T) string) Setting {
	return Setting{
		Key: key, Argument: argument, About: about,
		set: func(c *Config, values []string) error {
			value, err := parse(values[0])
			if err == nil {
				*field(c) = value
			}
			return err
		},
		show: func(c Config) string { return print(*field(&c)) },
	}
}

// sequence makes a setting of many values.
func sequence[T any](key, argument, about string, field func(*Config) *[]T, parse func(string) (T, error), print func(T) string) Setting {
	return Setting{
		Key: key, Argument: argument, About: about, list: true,
		set: func(c *Config, values []string) error {
			items := make([]T, 0, len(values))
			for _, text := range values {
				item, err := parse(text)
				if err != nil {
					return err
				}
				items = append(items, item)
			}
			*field(c) = items
			return nil
		},
		show: func(c Config) string {
			var texts []string
			for _, item := range *field(&c) {
				texts = append(texts, print(item))
			}
			return strings.Join(texts, ",")
		},
	}
}

func (s Setting) live() Setting { s.Live = true; return s }

func (s Setting) items(fields ...string) Setting { s.fields = fields; return s }

func plain(s string) string { return s }

func anyText(s string) (string, error) { return s, nil }

func oneOf(choices ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if slices.Contains(choices, s) {
			return s, nil
		}
		return "", fmt.Errorf("%q is not one of %s", clip(s), strings.Join(choices, ", "))
	}
}

func parseDomain(s string) (postern.Hostname, error) {
	if s == "" {
		return "", nil
	}
	name, err := postern.ParseHostname(s)
	if err != nil {
		return "", fmt.Errorf("%s", postern.AsError(err).Text())
	}
	if name.Wildcard() {
		return "", fmt.Errorf("%q has a wildcard; give the domain itself", clip(s))
	}
	if _, err := netip.ParseAddr(string(name)); err == nil {
		return "", fmt.Errorf("%q is an address; a domain has names below it", clip(s))
	}
	return name, nil
}

// parseAddress takes "host:port", ":port" and "port". Hosts are addresses or
// localhost: a name that resolves elsewhere tomorrow is no place to listen on.
func parseAddress(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		s = ":" + s
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not an address; write host:port, :port or [v6]:port", clip(s))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q: port %q is not a number from 0 to 65535", clip(s), clip(port))
	}
	if err := checkListenHost(host); err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

func checkListenHost(host string) error {
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("host %q is not an IP address or localhost", clip(host))
	}
	return nil
}

func parseHost(s string) (string, error) {
	host := strings.Trim(s, "[]")
	return host, checkListenHost(host)
}

func parsePorts(s string) (PortRange, error) {
	if s == "" {
		return PortRange{}, nil
	}
	low, high, found := strings.Cut(s, "-")
	if !found {
		high = low
	}
	first, err := parsePort(low)
	if err != nil {
		return PortRange{}, fmt.Errorf("%q is not a range of ports such as 20000-29999", clip(s))
	}
	last, err := parsePort(high)
	if err != nil || last < first {
		return PortRange{}, fmt.Errorf("%q is not a range of ports such as 20000-29999", clip(s))
	}
	return PortRange{First: first, Last: last}, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", clip(s))
	}
	return uint16(n), nil
}

// parsePublicPort also takes 0 and "", for "as it listens".
func parsePublicPort(s string) (uint16, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	return parsePort(s)
}

// String gives the form that parsePorts reads.
func (r PortRange) String() string {
	switch {
	case r == PortRange{}:
		return ""
	case r.First == r.Last:
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network such as 10.0.0.0/8", clip(s))
	}
	return prefix.Masked(), nil
}

func within(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number", clip(s))
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%d is outside %d to %d", n, low, high)
		}
		return n, nil
	}
}

// size takes bytes as a number, or with the unit KiB or MiB.
func size(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		number, unit := s, 1
		for suffix, factor := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
			if rest, found := strings.CutSuffix(s, suffix); found {
				number, unit = strings.TrimSpace(rest), factor
			}
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is not a size; write bytes, or a number with KiB or MiB", clip(s))
		}
		if n > high/unit || n*unit < low {
			return 0, fmt.Errorf("%s is outside %s to %s", clip(s), printSize(low), printSize(high))
		}
		return n * unit, nil
	}
}

func printSize(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	}
	return strconv.Itoa(n)
}

func between(low, high time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration; write a number with ms, s, m or h", clip(s))
		}
		if d < low || d > high {
			return 0, fmt.Errorf("%v is outside %v to %v", d, low, high)
		}
		return d, nil
	}
}

func parseFile(s string) (string, error) {
	if s == "" || strings.Contains(s, ",") {
		return "", fmt.Errorf("%q must be the name of a file, without a comma", clip(s))
	}
	return s, nil
}

// parseCertificateFiles takes "CERTIFICATE=KEY", the flag's form of an item with
// both fields.
func parseCertificateFiles(s string) (CertificateFiles, error) {
	certificate, key, found := strings.Cut(s, "=")
	if !found || certificate == "" || key == "" {
		return CertificateFiles{}, fmt.Errorf("%q must name a certificate file and a key file", clip(s))
	}
	if strings.ContainsAny(key, "=,") || strings.Contains(certificate, ",") {
		return CertificateFiles{}, fmt.Errorf("%q: files whose names have a comma or an equals sign cannot be named", clip(s))
	}
	return CertificateFiles{Certificate: certificate, Key: key}, nil
}

func (f CertificateFiles) String() string { return f.Certificate + "=" + f.Key }
