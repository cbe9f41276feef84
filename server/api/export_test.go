package api

// Patterns are the routes that need a key.
func (a *API) Patterns() []string { return a.patterns }
