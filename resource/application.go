package resource

import "time"

// ApplicationUser is somebody who signed in at an endpoint with an identity provider.
type ApplicationUser struct {
	Identity
	IdentityProvider IdentityProvider `json:"identity_provider" doc:"Who says who it is."`
	ProviderUserID   string           `json:"provider_user_id" doc:"What the provider calls the person."`
	Username         string           `json:"username" doc:"The person's name at the provider."`
	Email            string           `json:"email" doc:"The person's email, as the provider says."`
	Name             string           `json:"name" doc:"The person's name, as the provider says."`
	LastActive       time.Time        `json:"last_active" doc:"When the person was last seen."`
	LastLogin        time.Time        `json:"last_login" doc:"When the person last signed in."`
}

// IdentityProvider is who vouches for an ApplicationUser.
type IdentityProvider struct {
	Name string `json:"name" doc:"Its name, such as \"google\"."`
	URL  string `json:"url" doc:"Where it is."`
}

// ApplicationSession is one sign-in of an ApplicationUser with one browser.
type ApplicationSession struct {
	Identity
	PublicURL       string         `json:"public_url" doc:"The endpoint's URL."`
	BrowserSession  BrowserSession `json:"browser_session" doc:"The browser."`
	ApplicationUser Ref            `json:"application_user" doc:"Who signed in."`
	LastActive      time.Time      `json:"last_active" doc:"When it was last used."`
	ExpiresAt       time.Time      `json:"expires_at" doc:"When it ends."`
	Endpoint        *Ref           `json:"endpoint" doc:"The endpoint; null where it is gone."`
}

// BrowserSession is what is known of a browser.
type BrowserSession struct {
	UserAgent UserAgent        `json:"user_agent" doc:"What it says of itself."`
	IPAddress string           `json:"ip_address" doc:"Where it was last seen."`
	Location  *BrowserLocation `json:"location" doc:"Where that address is; null where it is not known."`
}

// UserAgent is what a browser says of itself.
type UserAgent struct {
	Raw            string `json:"raw" doc:"The whole header."`
	BrowserName    string `json:"browser_name" doc:"The browser's name."`
	BrowserVersion string `json:"browser_version" doc:"Its version."`
	DeviceType     string `json:"device_type" doc:"What it runs on."`
	OSName         string `json:"os_name" doc:"The operating system's name."`
	OSVersion      string `json:"os_version" doc:"The operating system's version."`
}

// BrowserLocation is where an address is said to be.
type BrowserLocation struct {
	CountryCode     string  `json:"country_code" doc:"Two letters, ISO 3166-1."`
	Latitude        float64 `json:"latitude" doc:"In degrees."`
	Longitude       float64 `json:"longitude" doc:"In degrees."`
	LatLongRadiusKM int64   `json:"lat_long_radius_km" doc:"How exact that is, in kilometres."`
}

// ApplicationUsers are those who signed in at the account's endpoints.
func ApplicationUsers() Collection[ApplicationUser, None, None] {
	return Define[ApplicationUser, None, None](Definition{
		Name: "app/users", CommandName: "application-users", Singular: "application user", ListKey: "application_users", Prefixes: []string{"appusr"}, Operations: ReadOnly | Delete,
		Doc: "Somebody who signed in at an endpoint with an identity provider. To delete it ends the person's sessions.",
	})
}

// ApplicationSessions are their sessions.
func ApplicationSessions() Collection[ApplicationSession, None, None] {
	return Define[ApplicationSession, None, None](Definition{
		Name: "app/sessions", CommandName: "application-sessions", Singular: "application session", ListKey: "application_sessions", Prefixes: []string{"appsess"}, Operations: ReadOnly | Delete,
		Doc: "One sign-in of an application user. To delete it revokes it.",
	})
}
