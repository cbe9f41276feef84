package config

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/postern-dev/postern"
)

const (
	policyPatience = 15 * time.Second
	maxPolicy      = maxFile
	mostRedirects  = 5
)

// FetchPolicy gets a traffic policy from an https URL: over via, within 15 seconds, up
// to a megabyte, and only ever over https. Errors are CodeFlagInvalid (the URL) and
// CodeFileUnreadable (what came back): without its policy an endpoint does not start.
func FetchPolicy(ctx context.Context, via http.RoundTripper, address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", postern.Errorf(postern.CodeFlagInvalid, "the traffic policy's address cannot be read as a URL")
	}
	if parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil {
		return "", postern.Errorf(postern.CodeFlagInvalid, "the traffic policy's address %q is not an https:// URL without a user", clip(parsed.Redacted()))
	}
	ctx, cancel := context.WithTimeout(ctx, policyPatience)
	defer cancel()
	text, err := fetch(ctx, via, address)
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "the traffic policy at %s cannot be fetched: %v", clip(parsed.Redacted()), err).Because(err)
	}
	return text, nil
}

func fetch(ctx context.Context, via http.RoundTripper, address string) (string, error) {
	client := http.Client{Transport: via, CheckRedirect: func(r *http.Request, before []*http.Request) error {
		if r.URL.Scheme != "https" || len(before) > mostRedirects {
			return fmt.Errorf("it leads to %s", clip(r.URL.Redacted()))
		}
		return nil
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %q", clip(response.Status))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPolicy+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxPolicy:
		return "", fmt.Errorf("it is larger than %d bytes", maxPolicy)
	case len(text) == 0:
		return "", fmt.Errorf("it is empty")
	}
	return string(text), nil
}
