package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// S1-44, S1-48: paths lead below the working directory or, where nothing is there, below
// that of the file that has them; every generation has the keys for what ends TLS here.
func TestWhereMaterialLies(t *testing.T) {
	dir, working := t.TempDir(), t.TempDir()
	t.Chdir(working)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "beside.pem"), "of the file")
	write(filepath.Join(dir, "both.pem"), "of the file")
	write("both.pem", "of the directory")
	write(filepath.Join(dir, "pass.txt"), "open sesame\r\nand a comment\n")
	for version, text := range map[string]string{
		"2": `{version: "2", acme_directory: "https://acme.test/dir", acme_email: a@b.test, tunnels: {a: {proto: tls, addr: 1, terminate_at: agent,
			crt: beside.pem, key: both.pem, key_passphrase_file: pass.txt, mutual_tls_cas: ca.pem, mutual_tls_crl: crl.pem, mutual_tls_mode: verify-if-given, mutual_tls_stale_crl: true}}}`,
		"3": `{version: "3", agent: {acme_directory: "https://acme.test/dir", acme_email: a@b.test}, endpoints: [{name: a, url: "tls://", upstream: {url: 1},
			agent_tls_termination: {server_certificate: beside.pem, server_private_key: both.pem, server_private_key_passphrase_file: pass.txt,
			mutual_tls_certificate_authorities: [ca.pem], mutual_tls_crl: crl.pem, mutual_tls_mode: verify-if-given, mutual_tls_stale_crl: true}}]}`,
	} {
		path := filepath.Join(dir, "ngrok.yml")
		write(path, text)
		c, err := config.Load(path)
		if err != nil || len(c.Warnings) > 0 || c.Check() != nil {
			t.Fatalf("version %s: %v, %v, %v", version, err, c.Warnings, c.Check())
		}
		e := c.Endpoints[0]
		if e.Termination != config.AtAgent || e.MutualTLSCAs != "ca.pem" || e.Revocations != "crl.pem" || c.ACME.Directory != "https://acme.test/dir" || c.ACME.Email != "a@b.test" {
			t.Errorf("version %s: %+v, %+v", version, e, c.ACME)
		}
		if e.MutualTLSMode != "verify-if-given" || !e.MutualTLSStaleCRL {
			t.Errorf("version %s: the mode is %q, stale lists %v", version, e.MutualTLSMode, e.MutualTLSStaleCRL)
		}
		for value, want := range map[string]string{e.Certificate: "of the file", e.Key: "of the directory", "-----BEGIN X-----": "-----BEGIN X-----"} {
			if text, err := e.Material("crt", value); err != nil || string(text.Data) != want {
				t.Errorf("%s is %q, %v", value, text.Data, err)
			}
		}
		if _, err := e.Material("mutual_tls_cas", e.MutualTLSCAs); !postern.HasCode(err, postern.CodeFileUnreadable) {
			t.Errorf("a file that is nowhere: %v", err)
		}
		if passphrase, err := e.Passphrase(); err != nil || passphrase.Reveal() != "open sesame" {
			t.Errorf("the passphrase is %q, %v", passphrase.Reveal(), err)
		}
	}
	if _, err := config.Parse("f.yml", []byte(`{version: "2", acme_directory: "http://acme.test"}`)); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("a directory without TLS: %v", err)
	}
}
