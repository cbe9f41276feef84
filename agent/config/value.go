package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// The functions here make readers of single keys of the agent.

func word(field func(*Config) *string) func(*reader, entry) error {
	return func(r *reader, e entry) (err error) {
		*field(r.config), err = r.text(e)
		return err
	}
}

func words(field func(*Config) *[]string) func(*reader, entry) error {
	return func(r *reader, e entry) (err error) {
		*field(r.config), err = r.list(e)
		return err
	}
}

func oneOf(field func(*Config) *string, values ...string) func(*reader, entry) error {
	return func(r *reader, e entry) error {
		text, err := r.text(e)
		if err != nil {
			return err
		}
		text = strings.ToLower(text)
		if text != "" && !slices.Contains(values, text) {
			return r.at(e.value, "%s: %q is not one of %s", e.path, clip(text), strings.Join(values, ", "))
		}
		*field(r.config) = text
		return nil
	}
}

func truth(field func(*Config) **bool) func(*reader, entry) error {
	return func(r *reader, e entry) error {
		on, err := r.flag(e)
		*field(r.config) = &on
		return err
	}
}

// duration reads "10s", and a bare number as seconds.
func duration(field func(*Config) *time.Duration) func(*reader, entry) error {
	return func(r *reader, e entry) error {
		text, err := r.text(e)
		if err != nil {
			return err
		}
		d, err := ParseDuration(text)
		if err != nil {
			return r.at(e.value, "%s: %s", e.path, postern.AsError(err).Text())
		}
		*field(r.config) = d
		return nil
	}
}

// ParseDuration reads a duration that is not negative: "90s", "1h30m", or a bare
// number of seconds; "" is 0. Errors are CodeConfigInvalid.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, postern.Errorf(postern.CodeConfigInvalid, "%q is not a duration such as 90s or 1h30m", clip(text))
	}
	return d, nil
}

// secret reads a secret. Documentation is full of places to put one, and what stands
// there is pasted as it is.
func secret(name string, field func(*Config) *postern.Secret) func(*reader, entry) error {
	return func(r *reader, e entry) error {
		text, err := r.text(e)
		switch {
		case err != nil:
			return r.at(e.value, "%s must be a single value; if { … } was a placeholder, write the %s itself there, without braces", e.path, name)
		case isPlaceholder(text):
			return r.at(e.value, "%s is a placeholder; write your own %s there", e.path, name)
		}
		*field(r.config) = postern.Secret(text)
		return nil
	}
}

func acmeDirectory(r *reader, e entry) error {
	text, err := r.text(e)
	if err != nil {
		return err
	}
	if text != "" && text != "server" && !strings.HasPrefix(text, "https://") {
		return r.at(e.value, "%s: %q is not a URL such as https://acme-v02.api.letsencrypt.org/directory, nor \"server\"", e.path, clip(text))
	}
	r.config.ACME.Directory = text
	return nil
}

// isPlaceholder recognises what documentation writes where a value belongs.
func isPlaceholder(text string) bool {
	lower := strings.ToLower(text)
	switch {
	case text == "":
		return false
	case strings.Trim(lower, "x.…*") == "":
		return true
	case strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">"),
		strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}"),
		strings.HasPrefix(text, "$") && strings.Trim(text[1:], "{}ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "":
		return true
	case strings.HasPrefix(text, "["): // as IPv6 addresses do
		inside, _, closed := strings.Cut(text[1:], "]")
		_, err := netip.ParseAddr(inside)
		return closed && err != nil
	}
	return strings.HasPrefix(lower, "your_") || strings.HasPrefix(lower, "your-") || strings.HasPrefix(lower, "your ")
}
