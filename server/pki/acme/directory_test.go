package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/server/pki/acme"
)

// laboratory is a Directory that asks pebble, and a web server that answers for us.
type laboratory struct {
	*acme.Directory
	pebble *pebble.Server
	roots  *x509.CertPool // of pebble's directory
	table  *table
}

func newLaboratory(t *testing.T, c pebble.Config) *laboratory {
	t.Helper()
	jobs := newTable()
	challenges := acme.NewChallenges(jobs)
	t.Cleanup(challenges.Close)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		text, ok := challenges.HTTP(r.Context(), postern.Hostname(host), strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(web.Close)
	address, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTPPort, err = strconv.Atoi(address.Port()); err != nil {
		t.Fatal(err)
	}
	c.DNS = nameserver.NewLocal(t, nil).Address
	lab := &laboratory{pebble: pebble.Start(t, c), table: jobs, roots: x509.NewCertPool()}
	text, err := os.ReadFile(lab.pebble.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	lab.roots.AppendCertsFromPEM(text)
	lab.Directory = acme.NewDirectory(acme.DirectoryConfig{URL: lab.pebble.Directory, Roots: lab.roots, Accounts: jobs, Challenges: challenges, Logger: testkit.Logger(t)})
	t.Cleanup(lab.Close)
	return lab
}

func (l *laboratory) obtain(t *testing.T, r acme.Request) (acme.Issued, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	r.Proof = acme.Proof{Kind: acme.HTTP01}
	return l.Obtain(ctx, r)
}

// A real authority says when it wants a certificate renewed, and what replaces it is told
// so; it has one account for all orders.
func TestDirectoryARI(t *testing.T) {
	lab := newLaboratory(t, pebble.Config{Validity: 10 * day})
	first, err := lab.obtain(t, acme.Request{Names: []postern.Hostname{"www.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	window, err := lab.Renewal(t.Context(), first.Leaf)
	if err != nil || window.Start.Before(first.Leaf.NotBefore) || window.End.After(first.Leaf.NotAfter) || !window.End.After(window.Start) || window.AskAfter.Before(time.Now()) {
		t.Errorf("the window is %+v, %v", window, err)
	}
	lab.setRenewal(t, first.Leaf, `{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}`)
	if window, err = lab.Renewal(t.Context(), first.Leaf); err != nil || window.End.Year() != 2020 {
		t.Errorf("the window is %+v, %v", window, err)
	}
	second, err := lab.obtain(t, acme.Request{Names: []postern.Hostname{"www.example.org"}, Replaces: first.Leaf})
	if err != nil || second.Leaf.SerialNumber.Cmp(first.Leaf.SerialNumber) == 0 {
		t.Errorf("the second is %v, %v", second.Leaf, err)
	}
	if _, err := second.Leaf.Verify(x509.VerifyOptions{DNSName: "www.example.org", Roots: lab.pebble.Roots, Intermediates: above(second.Chain)}); err != nil {
		t.Error(err)
	}
	if len(lab.table.accounts) != 1 || len(lab.table.challenges) != 0 {
		t.Errorf("%d accounts, %d challenges are left", len(lab.table.accounts), len(lab.table.challenges))
	}
}

// A directory that demands an external account, and one that is gone, are told apart.
func TestDirectoryAccounts(t *testing.T) {
	lab := newLaboratory(t, pebble.Config{})
	if _, err := lab.obtain(t, acme.Request{Names: []postern.Hostname{"www.example.org"}}); err != nil {
		t.Fatal(err)
	}
	lab.pebble.Stop()
	again := newLaboratory(t, pebble.Config{EAB: map[string]string{"kid": "c2VjcmV0"}})
	_, err := again.obtain(t, acme.Request{Names: []postern.Hostname{"www.example.org"}})
	failure, ok := errors.AsType[*acme.Failure](err)
	if !ok || failure.Code != postern.CodeAuthorityAccount || !strings.Contains(failure.Message, "tls.eab.key_id") || failure.Records {
		t.Errorf("without an external account: %v", err)
	}
	if _, err = lab.obtain(t, acme.Request{Names: []postern.Hostname{"www.example.org"}}); err == nil {
		t.Fatal("a directory that is gone has issued")
	}
	if failure, ok = errors.AsType[*acme.Failure](err); !ok || failure.Code != postern.CodeAuthorityUnreachable || !failure.Elsewhere {
		t.Errorf("a directory that is gone: %v", err)
	}
}

func above(chain []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	return pool
}

// setRenewal has pebble say when a certificate is to be renewed.
func (l *laboratory) setRenewal(t *testing.T, leaf *x509.Certificate, answer string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})), "ariResponse": answer,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: l.roots}}}
	defer client.CloseIdleConnections()
	response, err := client.Post(l.pebble.Management+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("pebble answers %s", response.Status)
	}
}

// An authority that says 429 is obeyed: its Retry-After is in the failure.
func TestDirectoryRateLimit(t *testing.T) {
	var base string
	ca := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/dir":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"newNonce": base + "/nonce", "newAccount": base + "/account", "newOrder": base + "/order"})
		case "/nonce":
			w.Header().Set("Replay-Nonce", "n")
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(map[string]string{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new accounts"})
		}
	}))
	defer ca.Close()
	base = ca.URL
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	jobs := newTable()
	directory := acme.NewDirectory(acme.DirectoryConfig{URL: ca.URL + "/dir", Roots: roots, Accounts: jobs, Challenges: acme.NewChallenges(jobs), Logger: testkit.Logger(t)})
	defer directory.Close()
	_, err := directory.Obtain(t.Context(), acme.Request{Names: []postern.Hostname{"www.example.org"}, Proof: acme.Proof{Kind: acme.HTTP01}})
	failure, ok := errors.AsType[*acme.Failure](err)
	if !ok || failure.Code != postern.CodeAuthorityRate || !failure.Elsewhere || !strings.Contains(failure.Message, "too many new accounts") || time.Until(failure.After) < 110*time.Minute {
		t.Errorf("%v, after %v", err, failure)
	}
}
