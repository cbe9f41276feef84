package sessionmsg

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/postern-dev/postern"
)

// ParseURL is postern.ParseURLRequest for a name that people may have typed in
// their own script: its host becomes A-labels first (RFC 5891, with the mapping
// of UTS 46 that browsers use).
func ParseURL(text string, fallback postern.Scheme) (postern.URLRequest, error) {
	ascii, err := asciiURL(strings.TrimSpace(text))
	if err != nil {
		return postern.URLRequest{}, err
	}
	return postern.ParseURLRequest(ascii, fallback)
}

// asciiURL converts the host inside a URL and leaves the rest alone, for
// ParseURLRequest to judge.
func asciiURL(text string) (string, error) {
	if isASCII(text) {
		return text, nil
	}
	before, rest := "", text
	if scheme, after, found := strings.Cut(text, "://"); found {
		before, rest = scheme+"://", after
	}
	host, after := rest, ""
	if end := strings.IndexAny(rest, ":/?#"); end >= 0 {
		host, after = rest[:end], rest[end:]
	}
	ascii, err := asciiHost(host)
	if err != nil {
		return "", err
	}
	return before + ascii + after, nil
}

// asciiHost gives the A-labels of a name; a first label "*" stays.
func asciiHost(host string) (string, error) {
	if isASCII(host) {
		return host, nil
	}
	rest, wildcard := strings.CutPrefix(host, "*.")
	ascii, err := idna.Lookup.ToASCII(rest)
	if err != nil {
		return "", postern.Errorf(postern.CodeHostnameInvalid, "hostname %.120q cannot be written in ASCII: %v", host, err)
	}
	if wildcard {
		ascii = "*." + ascii
	}
	return ascii, nil
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

func shortenTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
