// Package idn writes host names that people type in ASCII, as DNS and the rest of
// Postern have them: A-labels (RFC 5891), with the mapping of UTS 46 that browsers use.
package idn

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/postern-dev/postern"
)

// ToASCII gives the A-labels of a name; a first label "*" stays, and so does every
// name that is ASCII already, for ParseHostname to judge. A name that has no A-labels is
// CodeHostnameInvalid.
func ToASCII(host string) (string, error) {
	if isASCII(host) {
		return host, nil
	}
	rest, wildcard := strings.CutPrefix(host, "*.")
	ascii, err := idna.Lookup.ToASCII(rest)
	if err == nil && !utf8.ValidString(host) {
		err = errors.New("it is not UTF-8")
	}
	if err != nil {
		return "", postern.Errorf(postern.CodeHostnameInvalid, "hostname %.120q cannot be written in ASCII: %v", host, err)
	}
	if wildcard {
		ascii = "*." + ascii
	}
	return ascii, nil
}

// URLToASCII converts the host inside a URL, of which scheme, port and path may be
// missing, and leaves the rest as it is.
func URLToASCII(url string) (string, error) {
	before, rest := "", url
	if scheme, after, found := strings.Cut(url, "://"); found {
		before, rest = scheme+"://", after
	}
	host, after := rest, ""
	if end := strings.IndexAny(rest, ":/?#"); end >= 0 {
		host, after = rest[:end], rest[end:]
	}
	ascii, err := ToASCII(host)
	if err != nil {
		return "", err
	}
	return before + ascii + after, nil
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
