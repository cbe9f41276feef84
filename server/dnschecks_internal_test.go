package server

import (
	"slices"
	"testing"
)

// An authority that we cannot name in CAA records leaves them unjudged.
func TestIssuers(t *testing.T) {
	for _, one := range []struct {
		directories []string
		want        []string
	}{
		{nil, nil},
		{[]string{letsEncryptURL}, []string{"letsencrypt.org"}},
		{[]string{"https://acme-staging-v02.api.letsencrypt.org/directory", "https://dv.acme-v02.api.pki.goog/directory"}, []string{"letsencrypt.org", "pki.goog"}},
		{[]string{letsEncryptURL, "https://acme.company.internal/directory"}, nil},
		{[]string{"https://xletsencrypt.org/directory"}, nil},
	} {
		if got := issuers(one.directories); !slices.Equal(got, one.want) {
			t.Errorf("%q: %q, want %q", one.directories, got, one.want)
		}
	}
}
