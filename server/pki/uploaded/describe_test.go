package uploaded_test

import (
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

func TestDescriptions(t *testing.T) {
	c := issue(t, "x", certify.P256(t), nil, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageDecipherOnly
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}}
	}).Certificate
	if got := uploaded.KeyUsages(c); !slices.Equal(got, []string{"digitalSignature", "keyEncipherment", "decipherOnly"}) {
		t.Errorf("key usages %q", got)
	}
	if got := uploaded.ExtendedKeyUsages(c); !slices.Equal(got, []string{"clientAuth", "serverAuth", "1.3.6.1.4.1.311.20.2.2"}) {
		t.Errorf("extended key usages %q", got)
	}
	none := issue(t, "x", certify.P256(t), nil, func(c *x509.Certificate) { c.KeyUsage, c.ExtKeyUsage = 0, nil }).Certificate
	if usages, extended := uploaded.KeyUsages(none), uploaded.ExtendedKeyUsages(none); usages == nil || extended == nil || len(usages)+len(extended) != 0 {
		t.Errorf("of no usages: %#v, %#v", usages, extended)
	}
	for serial, want := range map[*big.Int]string{big.NewInt(0x054ba7): "054ba7", big.NewInt(0): "00", big.NewInt(0xFF): "ff", new(big.Int).Lsh(big.NewInt(1), 152): "01" + "00000000000000000000000000000000000000"} {
		if got := uploaded.Serial(&x509.Certificate{SerialNumber: serial}); got != want {
			t.Errorf("the serial number %v is %q, want %q", serial, got, want)
		}
	}
	if got := uploaded.Texts([]string{"Acme\x00", "M\xfcller"}); got != "Acme\uFFFD, M\uFFFDller" {
		t.Errorf("texts %q", got)
	}
}
