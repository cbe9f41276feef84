package authority_test

import (
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/material"
)

func find(t testing.TB, ca *authority.Authority, query string) []authority.Record {
	t.Helper()
	found, err := ca.Find(query)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// openssl reads the list, and refuses who is in it.
func TestRevoke(t *testing.T) {
	ca := newCA(t, authority.Root{})
	alice, bob := client(t, ca, "alice@example.com"), client(t, ca, "bob")
	verifies(t, "-crl_check", "-CRLfile", ca.ListFile(), "-CAfile", ca.CertificateFile(), alice.Certificate) // from the start
	done, err := ca.Revoke(find(t, ca, "Alice@Example.com"), authority.KeyCompromise)
	if err != nil || len(done) != 1 || done[0].Reason != authority.KeyCompromise {
		t.Fatalf("%v, %v", done, err)
	}
	if out, err := openssl(t, "verify", "-crl_check", "-CRLfile", ca.ListFile(), "-CAfile", ca.CertificateFile(), alice.Certificate); err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("%s", out)
	}
	verifies(t, "-crl_check", "-CRLfile", ca.ListFile(), "-CAfile", ca.CertificateFile(), bob.Certificate)
	at := find(t, ca, "alice@example.com")[0].RevokedAt
	if again, err := ca.Revoke(find(t, ca, "alice@example.com"), authority.Superseded); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	r := find(t, ca, "alice@example.com")[0]
	if !r.RevokedAt.Equal(at) || r.Reason.String() != "key-compromise" || r.Status(time.Now()) != "revoked" {
		t.Errorf("%+v", r)
	}
	list, err := ca.List()
	if err != nil || list.Number.Cmp(big.NewInt(3)) != 0 {
		t.Errorf("number %v, %v", list.Number, err)
	}
	if err := ca.Renew(7 * day); err != nil {
		t.Fatal(err)
	}
	if list, err = ca.List(); err != nil || len(list.RevokedCertificateEntries) != 1 || time.Until(list.NextUpdate) > 7*day {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestFind(t *testing.T) {
	ca := newCA(t, authority.Root{})
	made := server(t, ca, "api.example.com", "192.0.2.1")
	serial := material.Serial(made.Record.SerialNumber)
	colons := ""
	for i, c := range strings.ToLower(serial) {
		if i > 0 && i%2 == 0 {
			colons += ":"
		}
		colons += string(c)
	}
	for _, query := range []string{"api.example.com", "192.0.2.1", serial, colons, "0x" + serial, made.Certificate} {
		if found := find(t, ca, query); len(found) != 1 || !found[0].Equal(made.Record.Certificate) {
			t.Errorf("%q: %v", query, found)
		}
	}
	stranger := server(t, newCA(t, authority.Root{}), "api.example.com")
	for query, fault := range map[string]string{
		"nobody": "postern ca list", stranger.Certificate: "was not issued by the CA", made.Key: "is a private key, expected a certificate", "": "has issued nothing",
	} {
		if _, err := ca.Find(query); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v", query, err)
		}
	}
}

// A list that is not the CA's own would take back nothing.
func TestListOfAnother(t *testing.T) {
	ca, other := newCA(t, authority.Root{}), newCA(t, authority.Root{})
	made := client(t, ca, "alice")
	for what, text := range map[string]string{"another's": "", "a certificate": made.Certificate, "nothing": os.DevNull} {
		from := text
		if from == "" {
			from = other.ListFile()
		}
		copyFile(t, from, ca.ListFile())
		if _, err := ca.Revoke([]authority.Record{made.Record}, authority.Unspecified); !postern.HasCode(err, postern.CodeAuthorityUnusable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(ca.ListFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Revoke([]authority.Record{made.Record}, authority.Unspecified); err != nil {
		t.Error(err)
	}
	if _, err := authority.ParseReason("because"); !postern.HasCode(err, postern.CodeFlagInvalid) || !strings.Contains(err.Error(), "key-compromise") {
		t.Error(err)
	}
}

// Of a CA that replaced another, the list has only its own.
func TestReplacedCA(t *testing.T) {
	ca := newCA(t, authority.Root{})
	client(t, ca, "alice")
	again, err := authority.Init(ca.Dir(), authority.Root{Layout: authority.Tree, Replace: true}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if records, err := again.Records(); len(records) != 0 || err != nil {
		t.Errorf("%v, %v", records, err)
	}
	client(t, again, "bob")
	if _, err := os.Stat(filepath.Join(ca.Dir(), "issued")); err != nil {
		t.Error(err)
	}
}
