package setup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// LetsEncrypt is the directory of the certificate authority that is asked where none is
	// named.
	LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

	directoryTime = 20 * time.Second
	directorySize = 64 << 10
	// clockSlack is how far the clock may be off before certificates seem to be from the
	// future, or nonces from the past.
	clockSlack = 5 * time.Minute
)

// Directory looks whether a certificate authority that speaks ACME (RFC 8555 §7.1.1) can be
// reached, and whether the clock of this machine agrees with its. eab tells that an account
// of the authority's is configured. issuers are the names that the authority goes by in CAA
// records.
func Directory(ctx context.Context, client *http.Client, url string, eab bool, now func() time.Time) (f Finding, issuers []string) {
	f = Finding{Check: "acme", Status: Failed}
	ctx, cancel := context.WithTimeout(ctx, directoryTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		f.Text, f.Fix = fmt.Sprintf("%q is no URL", url), "Correct tls.directory."
		return f, nil
	}
	response, err := client.Do(request)
	if err != nil {
		f.Text = fmt.Sprintf("%s cannot be reached: %v", url, err)
		f.Fix = "Let this machine open connections to port 443 of the certificate authority, or name another with tls.directory."
		if unknown := (&tls.CertificateVerificationError{}); errors.As(err, &unknown) {
			f.Fix = "If it is an authority of your own, name its root certificate with tls.ca_root; otherwise somebody between intercepts TLS."
		}
		return f, nil
	}
	defer response.Body.Close()
	var directory struct {
		NewNonce, NewAccount, NewOrder string
		Meta                           struct {
			TermsOfService          string
			ExternalAccountRequired bool
			CAAIdentities           []string
		}
	}
	err = json.NewDecoder(io.LimitReader(response.Body, directorySize)).Decode(&directory)
	switch {
	case response.StatusCode != http.StatusOK || err != nil || directory.NewNonce == "" || directory.NewAccount == "" || directory.NewOrder == "":
		f.Text = fmt.Sprintf("%s answers %s, and not with the directory of an ACME server", url, response.Status)
		f.Fix = "Correct tls.directory; Let's Encrypt's is " + LetsEncrypt + "."
		return f, nil
	case directory.Meta.ExternalAccountRequired && !eab:
		f.Text, f.Fix = url+" takes nobody without an account of its own", "Make one there, and give its key with tls.eab."
		return f, nil
	}
	if off := skew(response, now()); off > clockSlack || off < -clockSlack {
		f.Text = fmt.Sprintf("%s is there, and this machine's clock is off by %s", url, off.Round(time.Second))
		f.Fix = "Set the clock: timedatectl set-ntp true"
		return f, nil
	}
	f.Status, f.Text = OK, url+" is there"
	if terms := directory.Meta.TermsOfService; terms != "" {
		f.Text += "; its terms: " + terms
	}
	return f, directory.Meta.CAAIdentities
}

// skew is how far the clock is ahead of the answer's sender.
func skew(response *http.Response, now time.Time) time.Duration {
	sent, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return now.Sub(sent)
}

// DirectoryClient asks an authority whom the system trusts or, where a file is named, the
// roots in that.
func DirectoryClient(rootFile string) (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	if rootFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	text, err := os.ReadFile(rootFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", rootFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}
