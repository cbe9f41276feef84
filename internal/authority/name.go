package authority

import (
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
)

const (
	maxCommonName = 64 // RFC 5280 Appendix A.1, ub-common-name
	maxNames      = 100
)

// Name is what a server's certificate is for: a host name or an IP address.
type Name struct {
	Host    postern.Hostname
	Address netip.Addr
}

func (n Name) String() string {
	if n.Address.IsValid() {
		return n.Address.String()
	}
	return n.Host.String()
}

// ParseName reads a server's name as people type and paste it; what cannot be one is
// CodeHostnameInvalid, with what it looks like and how to write it.
func ParseName(text string) (Name, error) {
	trimmed := strings.TrimSpace(text)
	if err := checkShape(trimmed); err != nil {
		return Name{}, err
	}
	if address, ok, err := parseAddress(trimmed); ok || err != nil {
		return Name{Address: address}, err
	}
	if host, port, found := strings.Cut(trimmed, ":"); found {
		return Name{}, nameError(trimmed, "a certificate is for a host, not for a port such as %.20q; write %q", port, clip(host))
	}
	ascii, err := idn.ToASCII(trimmed)
	if err != nil {
		return Name{}, err
	}
	if err := checkStars(ascii); err != nil {
		return Name{}, err
	}
	host, err := postern.ParseHostname(ascii)
	if err != nil {
		return Name{}, err
	}
	return Name{Host: host}, checkHost(host)
}

func nameError(text, format string, args ...any) error {
	return postern.Errorf(postern.CodeHostnameInvalid, "server name %q: "+format, append([]any{clip(text)}, args...)...)
}

// checkShape finds what is no name at all.
func checkShape(text string) error {
	scheme, rest, isURL := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	switch {
	case text == "":
		return postern.Errorf(postern.CodeHostnameInvalid, "a server name is empty; write one as api.example.com, *.example.com or 192.0.2.1")
	case !utf8.ValidString(text):
		return nameError(text, "it is not UTF-8")
	case isURL:
		return nameError(text, "write the name alone, without %q: %q", clip(scheme+"://"), clip(host))
	case strings.ContainsAny(text, "\"'`") || strings.ContainsFunc(text, isCurlyQuote):
		return nameError(text, "leave the quotes out")
	case strings.ContainsAny(text, ",;") || strings.ContainsFunc(text, unicode.IsSpace):
		return nameError(text, "these look like several names; give each as an argument of its own")
	case strings.HasPrefix(text, "-") || strings.HasPrefix(text, "–") || strings.HasPrefix(text, "—"):
		return nameError(text, "a name does not begin with a dash; flags have two hyphens")
	case strings.Contains(text, "@"):
		return nameError(text, "this is an e-mail address, which clients can have: postern ca client %s", clip(text))
	case strings.ContainsAny(text, "/\\"):
		return nameError(text, "leave the path or the network's mask out")
	case strings.ContainsAny(text, "{}<>$"):
		return nameError(text, "this is a placeholder; put the real name in")
	}
	return nil
}

func isCurlyQuote(r rune) bool {
	return unicode.In(r, unicode.Pi, unicode.Pf) || r == '‚' || r == '„'
}

// parseAddress tells whether the text is an IP address, and refuses those that no server
// answers at.
func parseAddress(text string) (netip.Addr, bool, error) {
	bare := text
	if inner, found := strings.CutPrefix(text, "["); found {
		bare = strings.TrimSuffix(inner, "]")
	}
	address, err := netip.ParseAddr(bare)
	if err != nil {
		if port, err := netip.ParseAddrPort(text); err == nil {
			return netip.Addr{}, true, nameError(text, "a certificate is for a host, not for a port; write %q", port.Addr())
		}
		return netip.Addr{}, false, nil
	}
	address = address.Unmap()
	switch {
	case address.Zone() != "":
		return address, true, nameError(text, "certificates have addresses without a zone; write %q", address.WithZone(""))
	case address.IsUnspecified(), address.IsMulticast():
		return address, true, nameError(text, "nobody visits this address; write the one that clients connect to")
	}
	return address, true, nil
}

// checkStars lets a wildcard be the whole first label, as clients have it (RFC 9525 §6.3).
func checkStars(host string) error {
	stars := strings.Count(host, "*")
	switch rest, first := strings.CutPrefix(host, "*."); {
	case stars == 0:
		return nil
	case host == "*" || first && rest == "":
		return nameError(host, "a wildcard needs a domain behind it, as in *.example.com")
	case stars > 1:
		return nameError(host, "a name has one wildcard at most, for one label; name the others one by one")
	case !first:
		return nameError(host, "clients know a wildcard only as the whole first label, as in *.example.com")
	}
	return nil
}

// checkHost refuses names that clients refuse whoever signed them.
func checkHost(host postern.Hostname) error {
	if last := host[strings.LastIndexByte(string(host), '.')+1:]; strings.Trim(string(last), "0123456789") == "" {
		return nameError(string(host), "this is neither an IPv4 address nor a name: no name ends in a number")
	}
	for label := range strings.SplitSeq(string(host), ".") {
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		if decoded, err := idna.Lookup.ToUnicode(label); err != nil || decoded == label {
			return nameError(string(host), "the label %q encodes no name", label)
		}
	}
	if !host.Wildcard() {
		return nil
	}
	domain := string(host.Parent())
	if suffix, listed := publicsuffix.PublicSuffix(domain); suffix == domain && (listed || !strings.Contains(domain, ".")) {
		return nameError(string(host), "clients take no wildcard for all of %q; name a domain below it", domain)
	}
	return nil
}

// parseNames reads all names of a server, each once.
func parseNames(texts []string) ([]Name, error) {
	var names []Name
	known := map[Name]bool{}
	for _, text := range texts {
		name, err := ParseName(text)
		if err != nil {
			return nil, err
		}
		if !known[name] {
			known[name] = true
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "name at least one host that the certificate is for, as in: postern ca server api.example.com")
	case len(names) > maxNames:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "there are %d names; a certificate has %d at most", len(names), maxNames)
	}
	return names, nil
}

// checkCommonName checks the name of a client or a CA: words that people can tell from
// each other, in every log and header that it ends up in. field is what it is called.
func checkCommonName(field, text string) (string, error) {
	name := strings.TrimSpace(text)
	invalid := func(format string, args ...any) (string, error) {
		return "", postern.Errorf(postern.CodeFlagInvalid, "%s %q: "+format, append([]any{field, clip(name)}, args...)...)
	}
	switch {
	case name == "":
		return "", postern.Errorf(postern.CodeFlagInvalid, "%s is empty; write one as laptop-7 or alice@example.com", field)
	case !utf8.ValidString(name):
		return invalid("it is not UTF-8")
	case utf8.RuneCountInString(name) > maxCommonName:
		return invalid("it has %d characters, at most %d are allowed", utf8.RuneCountInString(name), maxCommonName)
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" ._-@+()", r) {
			return invalid("the character %q is not allowed; use letters, digits, blanks and any of ._-@+()", r)
		}
	}
	return name, nil
}

// clientName is a client as its certificate names it: always as the common name, and in
// the subjectAltName as the e-mail address or host name that it may be.
type clientName struct {
	common string
	email  string
	host   postern.Hostname
}

func parseClient(text string) (clientName, error) {
	common, err := checkCommonName("the client's name", text)
	if err != nil {
		return clientName{}, err
	}
	c := clientName{common: common}
	if strings.Contains(common, "@") {
		address, err := mail.ParseAddress(common)
		if err != nil || address.Address != common || strings.Contains(common, "(") || !isASCII(common) {
			return c, postern.Errorf(postern.CodeFlagInvalid, "the client's name %q has an @ but is no e-mail address; write it as alice@example.com, or without @", clip(common))
		}
		c.email = common
		return c, nil
	}
	if name, err := ParseName(common); err == nil && strings.Contains(string(name.Host), ".") {
		c.host = name.Host
	}
	return c, nil
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// clip shortens what somebody typed for a message.
func clip(text string) string { return postern.Clip(text, 80) }
