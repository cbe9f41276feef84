package server_test

// nudges are the ways to have a server look at its configuration at once. Windows has no
// signal for it.
func nudges() map[string]func() error {
	return map[string]func() error{"change": func() error { return nil }}
}
