package resource

// ErrorPage is what visitors are shown in place of the server's own page.
type ErrorPage struct {
	Errors []string `json:"errors" api:"required,checked" doc:"What it is for: offline, maintenance, a status such as 502, 4xx, 5xx, or * for every error. The narrowest wins."`
	HTML   string   `json:"html,omitzero" doc:"The page for browsers. It may have the placeholders {{code}}, {{status}}, {{title}}, {{request_id}}, {{host}} and {{retry_after}}, and no scripts; empty for the server's own."`
	Text   string   `json:"text,omitzero" doc:"The page for those who take any type, such as curl, with the same placeholders; empty for the server's own."`
}

// Maintenance closes a domain or an endpoint to its visitors.
type Maintenance struct {
	Enabled    bool     `json:"enabled" doc:"Whether visitors are answered with status 503 and the page for maintenance."`
	RetryAfter int64    `json:"retry_after" doc:"What the header Retry-After says, in seconds; 0 for 300."`
	AllowCIDRs []string `json:"allow_cidrs" doc:"Networks whose visitors get through nevertheless."`
}

// MaintenanceUpdate sets a Maintenance; what is nil stays.
type MaintenanceUpdate struct {
	Enabled    *bool     `json:"enabled,omitzero" doc:"Whether visitors are answered with status 503 and the page for maintenance."`
	RetryAfter *int64    `json:"retry_after,omitzero" doc:"What the header Retry-After says, in seconds; 0 for 300."`
	AllowCIDRs *[]string `json:"allow_cidrs,omitzero" doc:"Networks whose visitors get through nevertheless."`
}
