package errorpage

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
)

const (
	// MostBytes is how large the pages of one domain or endpoint may be together.
	MostBytes = 64 << 10
	// MostPages is how many there may be.
	MostPages = 32
	// MostNetworks is how many may be let in during maintenance.
	MostNetworks = 100
	// LongestRetry is the longest time that visitors are told to wait, in seconds.
	LongestRetry = 30 * 24 * 3600
	// usualRetry is what they are told where nothing else is said.
	usualRetry = 5 * time.Minute
)

// The classes of errors that are no status.
const (
	Offline     = "offline"     // no agent has the endpoint online
	Maintenance = "maintenance" // it is closed
	Any         = "*"
)

// Set is the pages of one domain or endpoint. nil has none, and is closed to nobody.
type Set struct {
	pages  map[string]*Page // by class
	closed bool
	retry  time.Duration
	allow  *access.List
}

// Compile checks p; nil where it says nothing. Errors are CodeValueInvalid.
func Compile(p postern.ErrorPages) (*Set, error) {
	if p.Empty() {
		return nil, nil
	}
	s := &Set{pages: make(map[string]*Page), closed: p.Maintenance.Enabled}
	if err := s.addPages(p.Pages); err != nil {
		return nil, err
	}
	if err := s.addMaintenance(p.Maintenance); err != nil {
		return nil, err
	}
	return s, nil
}

// Read is Compile of what is written as JSON; "" says nothing.
func Read(text string) (*Set, error) {
	if text == "" {
		return nil, nil
	}
	var p postern.ErrorPages
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, postern.Errorf(postern.CodeValueInvalid, "error_pages cannot be read").Because(err)
	}
	return Compile(p)
}

// CheckURL refuses pages for an endpoint whose visitors would never be shown them.
func CheckURL(u postern.URL) error {
	switch {
	case u.Scheme != postern.HTTP && u.Scheme != postern.HTTPS:
		return postern.Errorf(postern.CodeValueInvalid, "error_pages and maintenance are for http and https endpoints, this one is %s", u.Scheme)
	case u.Internal():
		return postern.Errorf(postern.CodeValueInvalid, "visitors see the pages of the public endpoint that forwards to %s; give error_pages and maintenance to that one", u.Host)
	}
	return nil
}

func (s *Set) addPages(pages []postern.ErrorPage) error {
	if len(pages) > MostPages {
		return postern.Errorf(postern.CodeValueInvalid, "error_pages has %d pages; there may be %d", len(pages), MostPages)
	}
	size := 0
	for i, of := range pages {
		what := "error_pages[" + strconv.Itoa(i) + "]"
		if size += len(of.HTML) + len(of.Text); size > MostBytes {
			return postern.Errorf(postern.CodeValueInvalid, "error_pages has more than %d bytes of html and text together, which is the most", MostBytes)
		}
		page, err := compilePage(what, of)
		if err != nil {
			return err
		}
		for _, class := range of.Errors {
			if s.pages[class] != nil {
				return postern.Errorf(postern.CodeValueInvalid, "%s.errors has %q, for which there is a page already", what, class)
			}
			s.pages[class] = page
		}
	}
	return nil
}

func compilePage(what string, of postern.ErrorPage) (*Page, error) {
	switch {
	case len(of.Errors) == 0:
		return nil, postern.Errorf(postern.CodeValueInvalid, `%s.errors is missing: it says what the page is for, such as ["offline", "5xx"]`, what)
	case of.HTML == "" && of.Text == "":
		return nil, postern.Errorf(postern.CodeValueInvalid, "%s has neither html nor text", what)
	case !utf8.ValidString(of.HTML) || !utf8.ValidString(of.Text):
		return nil, postern.Errorf(postern.CodeValueInvalid, "%s is not UTF-8 text", what)
	}
	for _, class := range of.Errors {
		if !isClass(class) {
			return nil, postern.Errorf(postern.CodeValueInvalid, `%s.errors has %q; there are "offline", "maintenance", a status from "400" to "599", "4xx", "5xx" and "*"`, what, postern.Clip(class, mostQuoted))
		}
	}
	var page Page
	var err error
	if page.HTML, err = parse(what+".html", of.HTML, asHTML); err != nil {
		return nil, err
	}
	page.Text, err = parse(what+".text", of.Text, nil)
	return &page, err
}

func isClass(class string) bool {
	switch class {
	case Offline, Maintenance, Any, "4xx", "5xx":
		return true
	}
	status, err := strconv.Atoi(class)
	return err == nil && len(class) == 3 && status >= 400 && status <= 599
}

func (s *Set) addMaintenance(m postern.Maintenance) error {
	if m.RetryAfter < 0 || m.RetryAfter > LongestRetry {
		return postern.Errorf(postern.CodeValueInvalid, "maintenance.retry_after is %d; it has 1 to %d seconds, or 0 for %d", m.RetryAfter, LongestRetry, usualRetry/time.Second)
	}
	if s.retry = time.Duration(m.RetryAfter) * time.Second; s.retry == 0 {
		s.retry = usualRetry
	}
	if len(m.AllowCIDRs) > MostNetworks {
		return postern.Errorf(postern.CodeValueInvalid, "maintenance.allow_cidrs has %d networks; there may be %d", len(m.AllowCIDRs), MostNetworks)
	}
	var rules []access.Rule
	for _, text := range m.AllowCIDRs {
		network, ok := access.ParseNetwork(text)
		if !ok {
			return postern.Errorf(postern.CodeValueInvalid, "maintenance.allow_cidrs has %q, which is no network such as 192.0.2.0/24 or 2001:db8::/32", postern.Clip(text, mostQuoted))
		}
		rules = append(rules, access.Rule{Network: network})
	}
	s.allow = access.NewList(rules)
	return nil
}

// Page gives the page for an error: that of its name, else of its status, else of all such
// statuses, else of every error; nil for none.
func (s *Set) Page(code postern.Code) *Page {
	if s == nil || len(s.pages) == 0 {
		return nil
	}
	for _, class := range classes(code) {
		if page := s.pages[class]; page != nil {
			return page
		}
	}
	return nil
}

// classes are those of an error, the narrowest first.
func classes(code postern.Code) []string {
	status := strconv.Itoa(code.Entry().Status)
	all := []string{status, status[:1] + "xx", Any}
	switch {
	case code == postern.CodeMaintenance:
		return slices.Insert(all, 0, Maintenance)
	case code.Entry().Wire == postern.CodeEndpointOffline:
		return slices.Insert(all, 0, Offline)
	}
	return all
}

// Closed tells whether it is closed to visitors from addr, and after what time they may
// come again.
func (s *Set) Closed(addr netip.Addr) (retry time.Duration, closed bool) {
	if !s.Switched() {
		return 0, false
	}
	if allowed, _ := s.allow.Match(addr); allowed.IsValid() {
		return 0, false
	}
	return s.retry, true
}

// Switched tells whether maintenance is on.
func (s *Set) Switched() bool { return s != nil && s.closed }
