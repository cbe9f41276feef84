package api_test

import (
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// somebody's key, as ssh-keygen prints it.
const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVUKjBgBxhpb0N0Ur9aXkWOl2cXQeUmk1hL1jBqEuzr alice@laptop\n"

func TestSSHCertificateAuthorities(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		body   object
		kind   string
		prefix string
	}{
		{object{}, "ed25519", "ssh-ed25519 "},
		{object{"private_key_type": "ed25519"}, "ed25519", "ssh-ed25519 "},
		{object{"private_key_type": "ecdsa"}, "ecdsa", "ecdsa-sha2-nistp256 "},
		{object{"private_key_type": "ecdsa", "elliptic_curve": "p384"}, "ecdsa", "ecdsa-sha2-nistp384 "},
		{object{"private_key_type": "rsa", "key_size": 2048}, "rsa", "ssh-rsa "},
	} {
		made := w.does(201, "POST", "/ssh_certificate_authorities", c.body)
		if keys(made) != "created_at description id key_type metadata public_key uri" || made["key_type"] != c.kind ||
			!strings.HasPrefix(text(made, "public_key"), c.prefix) || !strings.HasPrefix(text(made, "id"), "sshca_") {
			t.Errorf("%v made %v", c.body, made)
		}
	}
	for _, c := range []struct {
		code postern.Code
		body object
	}{
		{postern.CodeSSHKeyType, object{"private_key_type": "dsa"}},
		{postern.CodeSSHKeySize, object{"private_key_type": "rsa", "key_size": 1024}},
		{postern.CodeSSHKeySizeUnused, object{"private_key_type": "ecdsa", "key_size": 2048}},
		{postern.CodeSSHCurve, object{"private_key_type": "ecdsa", "elliptic_curve": "secp256k1"}},
		{postern.CodeSSHCurveUnused, object{"private_key_type": "rsa", "elliptic_curve": "p256"}},
		{postern.CodeFieldInvalid, object{"description": strings.Repeat("x", 256)}},
		{postern.CodeValueInvalid, object{"key_size": "2048"}},
	} {
		w.refused(400, c.code, "POST", "/ssh_certificate_authorities", c.body)
	}
	all := w.does(200, "GET", "/ssh_certificate_authorities", nil)
	id := ids(all, "ssh_certificate_authorities")[0]
	if len(ids(all, "ssh_certificate_authorities")) != 5 {
		t.Errorf("listed %v", all)
	}
	if changed := w.does(200, "PATCH", "/ssh_certificate_authorities/"+id, object{"description": "hosts"}); changed["description"] != "hosts" {
		t.Errorf("changed %v", changed)
	}
	w.stranger().refused(404, "", "GET", "/ssh_certificate_authorities/"+id, nil)
	w.does(204, "DELETE", "/ssh_certificate_authorities/"+id, nil)
	want := []postern.EventType{event.SSHCertificateAuthorityCreated, event.SSHCertificateAuthorityUpdated, event.SSHCertificateAuthorityDeleted}
	if got := w.happened(id); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestSSHHostCertificates(t *testing.T) {
	w := newWorld(t)
	authority := w.does(201, "POST", "/ssh_certificate_authorities", object{})
	made := w.does(201, "POST", "/ssh_host_certificates", object{
		"ssh_certificate_authority_id": authority["id"], "public_key": sshKey, "principals": []string{"db.example.com"}, "description": "d", "metadata": "m"})
	id := text(made, "id")
	if keys(made) != "certificate created_at description id key_type metadata principals public_key ssh_certificate_authority_id uri valid_after valid_until" ||
		made["public_key"] != sshKey || made["key_type"] != "ed25519" || !strings.HasPrefix(id, "shcrt_") || !slices.Equal(list(made["principals"]), []string{"db.example.com"}) {
		t.Errorf("made %v", made)
	}
	after, until := at3339(t, made, "valid_after"), at3339(t, made, "valid_until")
	if !until.Equal(after.AddDate(1, 0, 0)) || time.Since(after) > time.Minute {
		t.Errorf("valid from %s to %s", after, until)
	}
	signed := sshCertificate(t, made, authority)
	checker := ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool { return same(key, signed.SignatureKey) }}
	if err := checker.CheckHostKey("db.example.com:22", nil, signed); err != nil {
		t.Error(err)
	}
	if checker.CheckHostKey("web.example.com:22", nil, signed) == nil {
		t.Error("another host may use the certificate")
	}
	if changed := w.does(200, "PATCH", "/ssh_host_certificates/"+id, object{"metadata": ""}); changed["metadata"] != "" || changed["certificate"] != made["certificate"] {
		t.Errorf("changed %v", changed)
	}
	w.refused(400, postern.CodeSSHAuthorityInUse, "DELETE", "/ssh_certificate_authorities/"+text(authority, "id"), nil)
	if got := ids(w.does(200, "GET", filtered("/ssh_host_certificates", `obj.ssh_certificate_authority_id == "`+text(authority, "id")+`"`), nil), "ssh_host_certificates"); !slices.Equal(got, []string{id}) {
		t.Errorf("filtered %v", got)
	}
	w.does(204, "DELETE", "/ssh_host_certificates/"+id, nil)
	w.does(204, "DELETE", "/ssh_certificate_authorities/"+text(authority, "id"), nil)
	want := []postern.EventType{event.SSHHostCertificateCreated, event.SSHHostCertificateUpdated, event.SSHHostCertificateDeleted}
	if got := w.happened(id); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func at3339(t *testing.T, o object, name string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text(o, name))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func same(a, b ssh.PublicKey) bool { return string(a.Marshal()) == string(b.Marshal()) }

// sshCertificate reads the certificate that was made, and sees that the authority signed
// it and the key is the one that was sent.
func sshCertificate(t *testing.T, made, authority object) *ssh.Certificate {
	t.Helper()
	read := func(line string) ssh.PublicKey {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return key
	}
	signed, is := read(text(made, "certificate")).(*ssh.Certificate)
	if !is || !same(signed.SignatureKey, read(text(authority, "public_key"))) || !same(signed.Key, read(sshKey)) || signed.KeyId != text(made, "id") {
		t.Fatalf("the certificate is %+v", signed)
	}
	return signed
}

func TestSSHUserCertificates(t *testing.T) {
	w := newWorld(t)
	authority := w.does(201, "POST", "/ssh_certificate_authorities", object{"private_key_type": "rsa", "key_size": 2048})
	body := func(more object) object {
		all := object{"ssh_certificate_authority_id": authority["id"], "public_key": sshKey}
		maps.Copy(all, more)
		return all
	}
	made := w.does(201, "POST", "/ssh_user_certificates", body(object{"principals": []string{"alice"}}))
	id := text(made, "id")
	if keys(made) != "certificate created_at critical_options description extensions id key_type metadata principals public_key ssh_certificate_authority_id uri valid_after valid_until" ||
		!strings.HasPrefix(id, "sucrt_") || !at3339(t, made, "valid_until").Equal(at3339(t, made, "valid_after").Add(24*time.Hour)) {
		t.Errorf("made %v", made)
	}
	signed := sshCertificate(t, made, authority)
	if !maps.Equal(signed.Extensions, map[string]string{"permit-pty": "", "permit-user-rc": ""}) || len(signed.CriticalOptions) != 0 {
		t.Errorf("permissions %+v", signed.Permissions)
	}
	checker := ssh.CertChecker{IsUserAuthority: func(key ssh.PublicKey) bool { return same(key, signed.SignatureKey) }}
	if _, err := checker.Authenticate(connection("alice"), signed); err != nil {
		t.Error(err)
	}
	if _, err := checker.Authenticate(connection("root"), signed); err == nil {
		t.Error("root is let in with the certificate of alice")
	}
	chosen := w.does(201, "POST", "/ssh_user_certificates", body(object{
		"critical_options": object{"force-command": "uptime"}, "extensions": object{}, "valid_after": "2031-01-01T01:00:00+01:00", "valid_until": "2031-01-01T00:00:30.9Z"}))
	if options, _ := chosen["critical_options"].(object); chosen["valid_after"] != "2031-01-01T00:00:00Z" || chosen["valid_until"] != "2031-01-01T00:00:30Z" ||
		options["force-command"] != "uptime" || len(list(chosen["principals"])) != 0 {
		t.Errorf("made %v", chosen)
	}
	if signed := sshCertificate(t, chosen, authority); len(signed.Extensions) != 0 || signed.CriticalOptions["force-command"] != "uptime" || signed.ValidBefore-signed.ValidAfter != 30 {
		t.Errorf("signed %+v", signed)
	}
	other := w.stranger()
	for _, c := range []struct {
		code postern.Code
		body object
	}{
		{postern.CodeSSHPublicKeyMissing, object{"ssh_certificate_authority_id": authority["id"]}},
		{postern.CodeSSHPublicKey, body(object{"public_key": "hello"})},
		{postern.CodeSSHUserAuthorityUnknown, object{"public_key": sshKey}},
		{postern.CodeSSHUserAuthorityUnknown, body(object{"ssh_certificate_authority_id": "sshca_1"})},
		{postern.CodeSSHUserDuration, body(object{"valid_until": "2001-01-01T00:00:00Z"})},
		{postern.CodeValueInvalid, body(object{"valid_until": "tomorrow"})},
		{postern.CodeValueInvalid, body(object{"extensions": []string{"permit-pty"}})},
		{postern.CodeFieldInvalid, body(object{"principals": []string{""}})},
	} {
		w.refused(400, c.code, "POST", "/ssh_user_certificates", c.body)
	}
	w.refused(400, postern.CodeSSHHostDuration, "POST", "/ssh_host_certificates", body(object{"valid_until": "2001-01-01T00:00:00Z"}))
	w.refused(400, postern.CodeSSHHostAuthorityUnknown, "POST", "/ssh_host_certificates", body(object{"ssh_certificate_authority_id": "sshca_1"}))
	other.refused(400, postern.CodeSSHUserAuthorityUnknown, "POST", "/ssh_user_certificates", body(nil)) // another account's authority does not sign
	other.refused(404, "", "GET", "/ssh_user_certificates/"+id, nil)
	w.does(200, "PATCH", "/ssh_user_certificates/"+id, object{"description": "laptop"})
	w.refused(400, postern.CodeSSHAuthorityInUse, "DELETE", "/ssh_certificate_authorities/"+text(authority, "id"), nil)
	w.does(204, "DELETE", "/ssh_user_certificates/"+id, nil)
	want := []postern.EventType{event.SSHUserCertificateCreated, event.SSHUserCertificateUpdated, event.SSHUserCertificateDeleted}
	if got := w.happened(id); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// connection is a user's, as far as a CertChecker asks.
type connection string

func (c connection) User() string { return string(c) }

// The rest of ssh.ConnMetadata, which nothing here has.
func (c connection) SessionID() []byte     { return nil }
func (c connection) ClientVersion() []byte { return nil }
func (c connection) ServerVersion() []byte { return nil }
func (c connection) RemoteAddr() net.Addr  { return nil }
func (c connection) LocalAddr() net.Addr   { return nil }
