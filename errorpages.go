package postern

// ErrorPages are what visitors of a domain or an endpoint are shown in place of the
// server's own pages. The zero value leaves everything to the server.
type ErrorPages struct {
	Pages       []ErrorPage `json:"pages,omitempty"`
	Maintenance Maintenance `json:"maintenance,omitzero"`
}

// Empty tells whether nothing is said.
func (p ErrorPages) Empty() bool { return len(p.Pages) == 0 && p.Maintenance.Empty() }

// ErrorPage is one page, and the errors that it is for.
type ErrorPage struct {
	Errors []string `json:"errors"` // "offline", "maintenance", "502", "5xx", "*"
	HTML   string   `json:"html,omitempty"`
	Text   string   `json:"text,omitempty"` // for those who ask for no HTML
}

// Maintenance closes a domain or an endpoint to visitors for a time.
type Maintenance struct {
	Enabled    bool     `json:"enabled,omitempty"`
	RetryAfter int64    `json:"retry_after,omitempty"` // seconds; 0 is the server's default
	AllowCIDRs []string `json:"allow_cidrs,omitempty"` // who still gets through
}

// Empty tells whether nothing is said.
func (m Maintenance) Empty() bool {
	return !m.Enabled && m.RetryAfter == 0 && len(m.AllowCIDRs) == 0
}
