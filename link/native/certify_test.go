package native_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/native"
)

// A request for a certificate arrives as it was made, and so does its answer.
func TestCertify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := join(t, linktest.NewRegistrar(token), native.ClientConfig{})
		defer e.close()
		asked := link.CertificateRequest{Endpoint: "one", CSR: []byte{0x30, 0, 0xff}}
		given := link.Certified{Chain: "-----BEGIN CERTIFICATE-----", After: 90 * time.Second, ACME: &link.ACMEDirectory{URL: "https://acme.test/dir", Roots: "roots", Email: "a@b.test"}}
		e.admitted.Sign(func(r link.CertificateRequest) (link.Certified, error) {
			if diff := cmp.Diff(asked, r); diff != "" {
				t.Error(diff)
			}
			return given, nil
		})
		got, err := e.client.Certify(t.Context(), asked)
		if diff := cmp.Diff(given, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
		e.admitted.Sign(nil)
		if _, err := e.client.Certify(t.Context(), asked); !postern.HasCode(err, postern.CodeOptionUnsupported) {
			t.Errorf("refused: %v", err)
		}
		asked.CSR = make([]byte, 17<<10)
		if _, err := e.client.Certify(t.Context(), asked); !postern.HasCode(err, postern.CodeSigningRequestInvalid) {
			t.Errorf("too long: %v", err)
		}
	})
}

// A server that does not know the request is not asked.
func TestCertifyByAnOlderServer(t *testing.T) {
	dial := otherServer(t, `{"Version":"3","ClientId":"c","Extra":{"Postern":{"Names":["drain"]}}}`, func(*mux.Session) {})
	client, _, err := native.Connect(t.Context(), dial(), native.ClientConfig{Hello: hello})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		client.Close(nil)
		<-client.Closed()
	}()
	if _, err := client.Certify(t.Context(), link.CertificateRequest{Endpoint: "one"}); !postern.HasCode(err, postern.CodeServerTooOld) {
		t.Errorf("Certify = %v", err)
	}
}
