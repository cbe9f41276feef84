package authority

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed client.txt
var clientPage string

// clientFacts is what a client's page tells.
type clientFacts struct {
	Name, Until                   string
	CA, Certificate, Key, Archive string // files
	KeyElsewhere                  bool
	Host, Site                    string // for Postman; for a URL
	Example                       bool   // the host stands for the one that is meant
	Wildcard                      bool
}

// page is what a client reads who was given the folder.
func (a *Authority) page(made Issued, host string) ([]byte, error) {
	facts := clientFacts{
		Name: made.Subject.CommonName, Until: made.NotAfter.UTC().Format("2 January 2006"),
		CA: a.layout.caCertificate(), Certificate: filepath.Base(made.Certificate), Key: a.layout.key(roleClient),
		KeyElsewhere: made.Key == "",
		Host:         cmp.Or(host, "api.example.com"), Site: site(host),
		Example: host == "", Wildcard: strings.HasPrefix(host, "*."),
	}
	if made.Archive != "" {
		facts.Archive = filepath.Base(made.Archive)
	}
	parsed, err := template.New("client").Funcs(template.FuncMap{"underline": underline}).Parse(clientPage)
	if err != nil {
		return nil, fmt.Errorf("the client's page: %w", err)
	}
	var page bytes.Buffer
	if err := parsed.Execute(&page, facts); err != nil {
		return nil, fmt.Errorf("the client's page: %w", err)
	}
	return page.Bytes(), nil
}

func underline(text string) string { return strings.Repeat("=", len([]rune(text))) }

// curl is the line with which a client calls a host, from within its folder.
func (a *Authority) curl(host string) string {
	return fmt.Sprintf("curl --cacert %s --cert %s --key %s https://%s/", a.layout.caCertificate(), a.layout.certificate(roleClient), a.layout.key(roleClient), site(host))
}

// site is a host as it stands in a URL.
func site(host string) string {
	domain, wildcard := strings.CutPrefix(host, "*.")
	address, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return "api.example.com"
	case wildcard:
		return "SUBDOMAIN." + domain
	case err == nil && address.Is6():
		return "[" + host + "]"
	}
	return host
}

// Days is a life in whole days, for people.
func Days(life time.Duration) int { return int((life + day/2) / day) }
