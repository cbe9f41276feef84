package service

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
)

const (
	maxDomain     = 253 // RFC 1035 §2.3.4, without the root dot
	maxDomainPart = 63
)

// parseDomain reads a domain that somebody wants to reserve: letters of any script, with
// or without a wildcard's star in front. A single word is a name below base. It says
// what is wrong by the code that the API has for it; whether the name may be had at all
// is not asked here.
func parseDomain(text string, base postern.Hostname) (postern.Hostname, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if name == "" {
		return "", postern.Errorf(postern.CodeValueInvalid, `the field "domain" is missing`)
	}
	if len(name) > maxDomain {
		return "", postern.Errorf(postern.CodeDomainTooLong, "the domain %.60q… has %d characters, at most %d are allowed", name, len(name), maxDomain)
	}
	if i := strings.IndexAny(name, "“”„‘’‚«»‹›`´"); i >= 0 { // pasted from a text; some could be encoded, and nobody wants that
		return "", postern.Errorf(postern.CodeDomainCharacter, "the domain %.60q has a quotation mark", name)
	}
	ascii, err := idn.ToASCII(name)
	if err != nil {
		return "", postern.Errorf(postern.CodeDomainPunycode, "%s", postern.AsError(err).Text())
	}
	name = strings.ToLower(ascii)
	if err := checkDomainCharacters(name); err != nil {
		return "", err
	}
	if !strings.Contains(name, ".") {
		if name == "*" {
			return "", postern.Errorf(postern.CodeDomainTooWide, "* alone would hold every name below %s", base)
		}
		name += "." + string(base)
	}
	if len(name) > maxDomain {
		return "", postern.Errorf(postern.CodeDomainTooLong, "the domain %.60q… has %d characters, at most %d are allowed", name, len(name), maxDomain)
	}
	for i, part := range strings.Split(name, ".") {
		if err := checkDomainPart(name, part, i == 0); err != nil {
			return "", err
		}
	}
	return postern.Hostname(name), nil
}

func checkDomainCharacters(name string) error {
	for _, c := range []byte(name) {
		switch {
		case c == '_':
			return postern.Errorf(postern.CodeDomainUnderscore, "the domain %q has an underscore", name)
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '*':
		default:
			return postern.Errorf(postern.CodeDomainCharacter, "the domain %q has the character %q", name, c)
		}
	}
	return nil
}

// checkDomainPart checks what stands between two dots.
func checkDomainPart(name, part string, first bool) error {
	switch {
	case part == "":
		return postern.Errorf(postern.CodeDomainPartEmpty, "the domain %q has an empty part", name)
	case part == "*" && first:
		return nil
	case strings.Contains(part, "*") && first:
		return postern.Errorf(postern.CodeWildcardNotAlone, "the first part of %q is %q; a wildcard is a * and nothing else", name, part)
	case strings.Contains(part, "*"):
		return postern.Errorf(postern.CodeWildcardNotFirst, "the domain %q has a * behind its first part", name)
	case len(part) > maxDomainPart:
		return postern.Errorf(postern.CodeDomainPartTooLong, "the part %q of the domain has %d characters, at most %d are allowed", part, len(part), maxDomainPart)
	case part[0] == '-':
		return postern.Errorf(postern.CodeDomainPartStart, "the part %q of %q begins with a hyphen", part, name)
	case part[len(part)-1] == '-':
		return postern.Errorf(postern.CodeDomainPartEnd, "the part %q of %q ends with a hyphen", part, name)
	case len(part) >= 4 && part[2:4] == "--" && part[:2] != "xn":
		return postern.Errorf(postern.CodeDomainHyphens, "the part %q of %q has hyphens in places 3 and 4, and is no encoded name (xn--)", part, name)
	}
	if strings.HasPrefix(part, "xn--") {
		// What decodes and does not encode to the same has a look-alike.
		decoded, err := idna.Lookup.ToUnicode(part)
		if err != nil || decoded == part {
			return postern.Errorf(postern.CodeDomainPunycode, "the part %q of %q encodes no name", part, name)
		}
	}
	return nil
}

// checkPublic refuses domains outside our own that are nobody's alone to have: public
// suffixes (https://publicsuffix.org) with wildcards below them, and what no visitor can
// look up. Top-level domains of the server's own names are good enough, too: a server in
// a network without the public ones has others.
func checkPublic(host postern.Hostname, own []postern.Hostname) error {
	reach := string(host)
	if host.Wildcard() {
		reach = string(host.Parent())
	}
	top := reach[strings.LastIndexByte(reach, '.')+1:]
	if strings.Trim(top, "0123456789") == "" {
		return postern.Errorf(postern.CodeDomainNotQualified, "%q is no fully qualified domain name", host)
	}
	if top == "onion" { // of another network's names (RFC 7686), which the list has all the same
		return postern.Errorf(postern.CodeDomainNotPublic, "%q ends in %q, which DNS does not have", host, top)
	}
	suffix, listed := publicsuffix.PublicSuffix(reach)
	if !listed && !strings.Contains(suffix, ".") && !topOf(top, own) { // by no rule at all
		return postern.Errorf(postern.CodeDomainNotPublic, "%q ends in %q, which is no top-level domain of the public internet", host, top)
	}
	if suffix == reach {
		return postern.Errorf(postern.CodeDomainTooWide, "%q is a public suffix: names below it belong to different people", reach)
	}
	return nil
}

func topOf(top string, own []postern.Hostname) bool {
	for _, domain := range own {
		if !domain.Internal() && strings.HasSuffix("."+string(domain), "."+top) {
			return true
		}
	}
	return false
}
