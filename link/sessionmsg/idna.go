package sessionmsg

import (
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
)

// ParseURL is postern.ParseURLRequest for a name that people may have typed in
// their own script: its host becomes A-labels first.
func ParseURL(text string, fallback postern.Scheme) (postern.URLRequest, error) {
	ascii, err := idn.URLToASCII(strings.TrimSpace(text))
	if err != nil {
		return postern.URLRequest{}, err
	}
	return postern.ParseURLRequest(ascii, fallback)
}

func shortenTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
