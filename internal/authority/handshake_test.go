package authority_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/material"
)

// mutualTLS is a server that lets in the CA's clients only, and names them.
func mutualTLS(t *testing.T, ca *authority.Authority, made authority.Issued) (port string) {
	t.Helper()
	identity, err := tls.LoadX509KeyPair(made.Certificate, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.Certificate)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{identity}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		VerifyConnection: func(state tls.ConnectionState) error { return revoked(ca, state) },
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err = net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// revoked reads the list as servers do.
func revoked(ca *authority.Authority, state tls.ConnectionState) error {
	text, err := os.ReadFile(ca.ListFile())
	if err != nil {
		return err
	}
	lists, _, err := material.ReadRevocationLists(material.Text{Name: "mutual_tls_crl", Data: text}, []*x509.Certificate{ca.Certificate}, state.PeerCertificates[0].NotBefore)
	if err != nil {
		return err
	}
	for _, entry := range lists[0].RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(state.PeerCertificates[0].SerialNumber) == 0 {
			return postern.Errorf(postern.CodeMaterialInvalid, "revoked")
		}
	}
	return nil
}

// curl runs the real one in a folder.
func curl(t *testing.T, dir, port string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"-sS", "--max-time", "30", "--resolve", "api.customer1.example.com:" + port + ":127.0.0.1"}, args...)
	command := exec.CommandContext(t.Context(), "curl", append(args, "https://api.customer1.example.com:"+port+"/")...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	return string(out), err
}

// The line of the guide, S1-53, with no -k: curl trusts the server, and the server curl.
func TestCurl(t *testing.T) {
	for _, layout := range []authority.Layout{authority.Tree, authority.Guide} {
		for _, kind := range []authority.KeyType{authority.ECDSAP256, authority.RSA2048} {
			t.Run(string(layout)+" "+string(kind), func(t *testing.T) {
				ca := newCA(t, authority.Root{Domains: []string{"customer1.example.com"}, Layout: layout, Key: kind})
				leaf := authority.Leaf{Key: kind}
				made, err := ca.Server([]string{"*.customer1.example.com"}, leaf)
				if err != nil {
					t.Fatal(err)
				}
				port := mutualTLS(t, ca, made)
				alice, err := ca.Client("alice@example.com", "", leaf, nil)
				if err != nil {
					t.Fatal(err)
				}
				words := strings.Fields(alice.Curl) // the line that people get, but for its URL
				if words[0] != "curl" || words[len(words)-1] != "https://SUBDOMAIN.customer1.example.com/" {
					t.Fatalf("%q", alice.Curl)
				}
				words = words[1 : len(words)-1]
				if out, err := curl(t, alice.Folder, port, words...); err != nil || out != "hello alice@example.com" {
					t.Errorf("%q, %v", out, err)
				}
				if out, err := curl(t, alice.Folder, port, words[:2]...); err == nil {
					t.Errorf("without a certificate: %q", out)
				}
				stranger := newCA(t, authority.Root{Layout: layout})
				mallory := client(t, stranger, "alice@example.com")
				if out, err := curl(t, mallory.Folder, port, append(words[2:], "--cacert", ca.CertificateFile())...); err == nil {
					t.Errorf("with another CA's certificate: %q", out)
				}
				if out, err := curl(t, mallory.Folder, port, words...); err == nil || !strings.Contains(out, "certificate") {
					t.Errorf("to a server of another CA: %q, %v", out, err)
				}
				if _, err := ca.Revoke([]authority.Record{alice.Record}, authority.KeyCompromise); err != nil {
					t.Fatal(err)
				}
				if out, err := curl(t, alice.Folder, port, words...); err == nil {
					t.Errorf("revoked: %q", out)
				}
			})
		}
	}
}

// What Postman, curl and openssl open: they read PKCS #12 with OpenSSL's code.
func TestArchives(t *testing.T) {
	ca := newCA(t, authority.Root{})
	port := mutualTLS(t, ca, server(t, ca, "api.customer1.example.com"))
	for name, archive := range map[string]authority.Archive{
		"modern": {Passphrase: authority.NewPassphrase()}, "legacy": {Passphrase: "four words, no more", Legacy: true}, "ünïcode": {Passphrase: "pässwörter"},
	} {
		made, err := ca.Client(name, "", authority.Leaf{}, &archive)
		if err != nil {
			t.Fatal(err)
		}
		pass := archive.Passphrase.Reveal()
		args := []string{"pkcs12", "-in", made.Archive, "-info", "-noenc", "-passin", "pass:" + pass}
		if archive.Legacy {
			args = append(args, "-legacy")
		}
		out, err := openssl(t, args...)
		if err != nil || strings.Count(out, "BEGIN CERTIFICATE") != 2 || !strings.Contains(out, "BEGIN PRIVATE KEY") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if strong := strings.Contains(out, "PBES2, PBKDF2, AES-256-CBC, Iteration 100000"); strong == archive.Legacy {
			t.Errorf("%s: %s", name, out)
		}
		if !archive.Legacy { // which OpenSSL 3 reads with its legacy provider only
			if out, err := curl(t, made.Folder, port, "--cacert", "ca.pem", "--cert-type", "P12", "--cert", "client.p12:"+pass); err != nil || out != "hello "+name {
				t.Errorf("%s: %q, %v", name, out, err)
			}
		}
		if out, err := openssl(t, "pkcs12", "-in", made.Archive, "-noout", "-passin", "pass:wrong horse"); err == nil {
			t.Errorf("%s is opened by any passphrase: %s", name, out)
		}
	}
	for pass, fault := range map[postern.Secret]string{"": "0 characters", "1234567": "7 characters", "a\x00bcdefgh": "alike", "12345678\n": "alike", "\xff12345678": "alike", "emoji 😀 😀": "alike"} {
		_, err := ca.Client("x", "", authority.Leaf{}, &authority.Archive{Passphrase: pass})
		if !postern.HasCode(err, postern.CodeFlagInvalid) || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v", pass.Reveal(), err)
		}
	}
}

// What a person reads who is given the folder: S1-55.
func TestPage(t *testing.T) {
	ca := newCA(t, authority.Root{})
	page := func(host string) string {
		t.Helper()
		made, err := ca.Client("alice", host, authority.Leaf{Replace: true}, &authority.Archive{Passphrase: "long enough"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(made.Readme)
		if err != nil || filepath.Base(made.Readme) != "README.txt" {
			t.Fatal(err)
		}
		return string(text)
	}
	holds := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in\n%s", part, text)
			}
		}
	}
	holds(page(""), "api.example.com stands for the host", "Client certificate of alice\n===========================\n")
	holds(page("api.customer1.example.com"), "https://api.customer1.example.com/", "Settings (the gear at the top right) > Certificates",
		"Host:       api.customer1.example.com", "CRT file:   client.pem", "KEY file:   client.key", "PFX file:   client.p12", "--cert-type P12 --cert client.p12 https://")
	holds(page("::1"), "https://[::1]/", "Host:       ::1")
	server(t, ca, "*.customer1.example.com")
	holds(page(""), "SUBDOMAIN stands for the service", "https://SUBDOMAIN.customer1.example.com/", "Host:       *.customer1.example.com")
	if _, err := ca.Client("alice", "https://x/", authority.Leaf{Replace: true}, nil); !postern.HasCode(err, postern.CodeHostnameInvalid) {
		t.Error(err)
	}
}
