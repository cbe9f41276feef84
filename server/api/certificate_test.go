package api_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// certificate makes one that signs itself, and its key, as PEM text.
func certificate(t *testing.T, edit ...func(*x509.Certificate)) (chain, key string) {
	t.Helper()
	return certificateOf(t, certify.P256(t), edit...)
}

func certificateOf(t *testing.T, private crypto.Signer, edit ...func(*x509.Certificate)) (chain, key string) {
	t.Helper()
	full := func(c *x509.Certificate) {
		c.SerialNumber, c.ExtKeyUsage = big.NewInt(0x054ba7), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.Subject = pkix.Name{
			CommonName: "www.example.org", Organization: []string{"Acme", "Sons"}, OrganizationalUnit: []string{"IT"},
			Locality: []string{"Köln"}, Province: []string{"NRW"}, Country: []string{"DE"},
		}
		c.NotBefore, c.NotAfter = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	names := certify.Names("www.example.org", "*.example.org", "2001:db8::1")
	return certify.Of(t, private, "", nil, append([]certify.Edit{full, names}, edit...)...).PEM(t)
}

func TestTLSCertificates(t *testing.T) {
	w := newWorld(t)
	chain, key := certificate(t)
	made := w.does(201, "POST", "/tls_certificates", object{"certificate_pem": chain, "private_key_pem": key, "description": "d", "metadata": "m"})
	id := text(made, "id")
	want := object{
		"id": id, "uri": base + "/tls_certificates/" + id, "created_at": made["created_at"], "description": "d", "metadata": "m",
		"certificate_pem": chain, "subject_common_name": "www.example.org", "issuer_common_name": "www.example.org", "serial_number": "054ba7",
		"issued_at": nil, "not_before": "2019-01-01T00:00:00Z", "not_after": "2020-01-01T00:00:00Z", "private_key_type": "ecdsa",
		"subject_organization": "Acme, Sons", "subject_organizational_unit": "IT", "subject_locality": "Köln", "subject_province": "NRW", "subject_country": "DE",
	}
	names, _ := made["subject_alternative_names"].(object)
	if !slices.Equal(list(names["dns_names"]), []string{"www.example.org", "*.example.org"}) || !slices.Equal(list(names["ips"]), []string{"2001:db8::1"}) ||
		!slices.Equal(list(made["key_usages"]), []string{"digitalSignature"}) || !slices.Equal(list(made["extended_key_usages"]), []string{"serverAuth"}) {
		t.Errorf("made %v", made)
	}
	scalars := maps.Clone(made)
	for _, nested := range []string{"subject_alternative_names", "key_usages", "extended_key_usages"} {
		delete(scalars, nested)
	}
	if !maps.Equal(scalars, want) || !strings.HasPrefix(id, "cert_") {
		t.Errorf("made %v, want %v", scalars, want)
	}
	pair, err := w.service.TLSKeyPair(t.Context(), w.first.AccountID, id)
	if err != nil || pair.Leaf.Subject.CommonName != "www.example.org" {
		t.Errorf("a key pair %v, %v", pair.Leaf, err)
	}
	changed := w.does(200, "PATCH", "/tls_certificates/"+id, object{"description": ""})
	if changed["description"] != "" || changed["metadata"] != "m" || changed["certificate_pem"] != chain {
		t.Errorf("changed %v", changed)
	}
	for expression, found := range map[string]bool{
		`obj.serial_number == "054ba7" && obj.not_after < timestamp(time.now)`:                      true,
		`obj.subject_common_name.endsWith("example.com")`:                                           false,
		`obj.issued_at == null && obj.not_before == timestamp("2019-01-01T00:00:00Z")`:              true,
		`obj.private_key_type == "ecdsa" && obj.subject_alternative_names.dns_names == null`:        false,
		`obj.subject_locality.contains("ö") && obj.subject_common_name.startsWith("www.example.o")`: true,
	} {
		if got := ids(w.does(200, "GET", filtered("/tls_certificates", expression), nil), "tls_certificates"); slices.Contains(got, id) != found {
			t.Errorf("%s finds %v", expression, got)
		}
	}
	w.refused(400, postern.CodeFieldUnknown, "PATCH", "/tls_certificates/"+id, object{"private_key_pem": key})
	other := w.stranger()
	for _, method := range []string{"GET", "DELETE"} {
		other.refused(404, "", method, "/tls_certificates/"+id, nil)
	}
	if _, err := w.service.TLSKeyPair(t.Context(), other.first.AccountID, id); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("another account gets the key: %v", err)
	}
	domain := store.ReservedDomain{Meta: store.Meta{ID: "rd_1", Account: w.first.AccountID}, Domain: "www.example.org", Certificate: id}
	w.writes(func(tx store.Tx) error { return tx.ReservedDomains().Create(t.Context(), domain) })
	if message := w.refused(400, postern.CodeCertificateInUse, "DELETE", "/tls_certificates/"+id, nil); !strings.Contains(message, "www.example.org") {
		t.Errorf("the message does not say where: %s", message)
	}
	w.writes(func(tx store.Tx) error { return tx.ReservedDomains().Delete(t.Context(), domain.Account, domain.ID) })
	w.does(204, "DELETE", "/tls_certificates/"+id, nil)
	if got := w.happened(id); !slices.Equal(got, []postern.EventType{event.TLSCertificateCreated, event.TLSCertificateUpdated, event.TLSCertificateDeleted}) {
		t.Errorf("events %v", got)
	}
}

// list is a JSON list of texts.
func list(value any) []string {
	items, _ := value.([]any)
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i], _ = item.(string)
	}
	return texts
}

// writes changes the store behind the API's back.
func (w *world) writes(fn func(store.Tx) error) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// What is wrong with texts in all detail is tested where they are read; here, that each
// way to be wrong arrives, and leaves nothing behind.
func TestTLSCertificatesAreChecked(t *testing.T) {
	w := newWorld(t)
	chain, key := certificate(t)
	_, another := certificate(t)
	_, young, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := certificateOf(t, young)
	for _, c := range []struct {
		code       postern.Code
		chain, key string
	}{
		{postern.CodeCertificateMissing, "", key},
		{postern.CodePrivateKeyMissing, chain, ""},
		{postern.CodePrivateKeyMissing, chain, "not a key"},
		{postern.CodePrivateKeyEncrypted, chain, strings.ReplaceAll(key, "PRIVATE", "ENCRYPTED PRIVATE")},
		{postern.CodePrivateKeyUnreadable, chain, key + another},
		{postern.CodePEMHeaders, strings.Replace(chain, "MII", "A: b\n\nMII", 1), key},
		{postern.CodePEMTypeWrong, strings.ReplaceAll(chain, "CERTIFICATE", "X509 CRL"), key},
		{postern.CodeCertificateUnreadable, "x" + chain, key},
		{postern.CodeCertificateTooLong, strings.Repeat(chain, 100), key},
		{postern.CodeKeyMismatch, chain, another},
		{postern.CodePrivateKeyIsCertificate, chain, chain},
		{postern.CodeCertificateIsKey, key, chain},
		{postern.CodeChainOrder, chain + second, key},
	} {
		got := w.send("POST", "/tls_certificates", object{"certificate_pem": c.chain, "private_key_pem": c.key})
		if got.StatusCode != 400 || got.body["error_code"] != string(c.code) || strings.Contains(got.text, strings.Split(key, "\n")[1]) {
			t.Errorf("want %s: %s", c.code, got.text)
		}
	}
	if kept := w.does(200, "GET", "/tls_certificates", nil); len(ids(kept, "tls_certificates")) != 0 {
		t.Errorf("something was made: %v", kept)
	}
	w.does(201, "POST", "/tls_certificates", object{"certificate_pem": chain, "private_key_pem": key})
	w.does(201, "POST", "/tls_certificates", object{"certificate_pem": chain, "private_key_pem": key}) // the same again is another
}

// An authority has the lists that it has signed, and no others; what is refused changes
// nothing.
func TestRevocationListsOfAuthorities(t *testing.T) {
	w := newWorld(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, usage x509.KeyUsage) (string, *x509.Certificate) {
		ca, _ := certificateOf(t, private, func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.Subject.CommonName = true, usage, nil, name
		})
		block, _ := pem.Decode([]byte(ca))
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return ca, parsed
	}
	signs := x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	ca, root := made("Acme Root", signs)
	_, other := made("Other Root", signs)
	mute, _ := made("Acme Root", x509.KeyUsageCertSign)
	list := func(by *x509.Certificate, key crypto.Signer, number int64, entries int) string {
		template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), NextUpdate: time.Date(2019, 2, 1, 0, 0, 0, 0, time.UTC)}
		for n := range entries {
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(int64(n + 1)), RevocationTime: template.ThisUpdate})
		}
		der, err := x509.CreateRevocationList(rand.Reader, template, by, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
	first, second := list(root, private, 1, 1), list(root, private, 2, 2) // long stale, which is the endpoints' to judge
	with := w.does(201, "POST", "/certificate_authorities", object{"ca_pem": ca, "crl_pem": "Certificate Revocation List (CRL):\n" + first})
	if with["crl_pem"] != first {
		t.Errorf("made %v", with)
	}
	id := text(with, "id")
	path := "/certificate_authorities/" + id
	for _, c := range []struct {
		body object
		want any
	}{
		{object{"description": "d"}, first},
		{object{"crl_pem": first + second}, first + second},
		{object{"metadata": "m"}, first + second},
		{object{"crl_pem": nil}, nil},
		{object{"crl_pem": second}, second},
		{object{"crl_pem": ""}, nil},
		{object{"crl_pem": first}, first},
	} {
		if got := w.does(200, "PATCH", path, c.body); got["crl_pem"] != c.want {
			t.Errorf("%v: %v", c.body, got["crl_pem"])
		}
	}
	long := list(root, private, 3, 12000)
	der, _ := pem.Decode([]byte(first))
	fits := list(root, private, 3, 6000)
	for what, c := range map[string]struct{ text, says string }{
		"another's":            {list(other, private, 1, 1), `expected one of the authority "CN=Acme Root`},
		"another's beside one": {first + list(other, private, 1, 1), "expected one of the authority"},
		"of the same name":     {list(root, stranger, 1, 1), "the key of this authority has not signed"},
		"a certificate":        {ca, "has a certificate, at line 1, expected a revocation list"},
		"malformed":            {strings.Replace(first, "MII", "AII", 1), "has a revocation list that cannot be read"},
		"damaged":              {strings.Replace(first, "MII", "?II", 1), "not base64"},
		"not whole":            {first[:len(first)-40], "the file is not whole"},
		"no PEM":               {"root", "is not PEM text"},
		"base64 alone":         {base64.StdEncoding.EncodeToString(der.Bytes), "without the lines -----BEGIN"},
		"blanks":               {" \n", "is empty"},
		"too long":             {long, "at most 262144 are allowed"},
	} {
		for _, refused := range []func() string{
			func() string {
				return w.refused(400, postern.CodeMaterialInvalid, "PATCH", path, object{"crl_pem": c.text})
			},
			func() string {
				return w.refused(400, postern.CodeMaterialInvalid, "POST", "/certificate_authorities", object{"ca_pem": ca, "crl_pem": c.text})
			},
		} {
			if got := refused(); !strings.Contains(got, "crl_pem") || !strings.Contains(got, c.says) {
				t.Errorf("%s: %s", what, got)
			}
		}
	}
	if got := w.refused(400, postern.CodeMaterialInvalid, "POST", "/certificate_authorities", object{"ca_pem": mute, "crl_pem": first}); !strings.Contains(got, "has no cRLSign") {
		t.Errorf("an authority that may not revoke: %s", got)
	}
	if got := w.does(200, "GET", path, nil); got["crl_pem"] != first || got["description"] != "d" {
		t.Errorf("after refusals: %v", got)
	}
	if got := w.does(200, "PATCH", path, object{"crl_pem": fits}); got["crl_pem"] != fits || len(fits) <= material.MostBytes {
		t.Errorf("a list of %d bytes is not kept", len(fits))
	}
	got := w.happened(id)
	if len(got) != 9 || got[0] != event.CertificateAuthorityCreated || got[8] != event.CertificateAuthorityUpdated {
		t.Errorf("events %v", got)
	}
}

func TestCertificateAuthorities(t *testing.T) {
	w := newWorld(t)
	authority := func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.Subject.CommonName = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil, "Acme Root"
	}
	ca, key := certificate(t, authority)
	leaf, _ := certificate(t)
	made := w.does(201, "POST", "/certificate_authorities", object{"ca_pem": ca, "description": "d", "metadata": "m"})
	id := text(made, "id")
	if keys(made) != "ca_pem created_at crl_pem description extended_key_usages id key_usages metadata not_after not_before subject_common_name uri" ||
		made["subject_common_name"] != "Acme Root" || made["ca_pem"] != ca || made["crl_pem"] != nil || made["not_after"] != "2020-01-01T00:00:00Z" || !strings.HasPrefix(id, "ca_") ||
		!slices.Equal(list(made["key_usages"]), []string{"keyCertSign", "cRLSign"}) || len(list(made["extended_key_usages"])) != 0 {
		t.Errorf("made %v", made)
	}
	if changed := w.does(200, "PATCH", "/certificate_authorities/"+id, object{"metadata": "n"}); changed["metadata"] != "n" || changed["description"] != "d" {
		t.Errorf("changed %v", changed)
	}
	if got := ids(w.does(200, "GET", filtered("/certificate_authorities", `obj.subject_common_name == "Acme Root"`), nil), "certificate_authorities"); !slices.Equal(got, []string{id}) {
		t.Errorf("filtered %v", got)
	}
	for _, c := range []struct {
		code postern.Code
		text string
	}{
		{postern.CodeAuthorityMissing, ""},
		{postern.CodeAuthorityNotPEM, "root"},
		{postern.CodeAuthorityNotOne, ca + leaf},
		{postern.CodeAuthorityNotCA, leaf},
		{postern.CodePEMTypeWrong, key},
		{postern.CodePEMHeaders, strings.Replace(ca, "MII", "A: b\n\nMII", 1)},
		{postern.CodeCertificateUnreadable, strings.Replace(ca, "MII", "AII", 1)},
		{postern.CodeCertificateTooLong, strings.Repeat("x", 65537)},
	} {
		w.refused(400, c.code, "POST", "/certificate_authorities", object{"ca_pem": c.text})
	}
	w.stranger().refused(404, "", "GET", "/certificate_authorities/"+id, nil)
	w.does(204, "DELETE", "/certificate_authorities/"+id, nil)
	w.refused(404, "", "GET", "/certificate_authorities/"+id, nil)
	want := []postern.EventType{event.CertificateAuthorityCreated, event.CertificateAuthorityUpdated, event.CertificateAuthorityDeleted}
	if got := w.happened(id); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}
