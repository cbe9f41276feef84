package pebble

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Become makes this process pebble, and does not return, if Start has started it; in
// every other process it does nothing.
func Become() {
	orders := os.Getenv(variable)
	if orders == "" {
		return
	}
	if err := serve(orders); err != nil {
		fmt.Fprintln(os.Stderr, "pebble:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is what pebble's own command does with its configuration. It
// ends with standard input.
func serve(orders string) error {
	var c Config
	if err := json.Unmarshal([]byte(orders), &c); err != nil {
		return err
	}
	logger := log.New(io.Discard, "", 0)
	rows := db.NewMemoryStore()
	validity := c.Validity
	if validity == 0 {
		validity = 90 * 24 * time.Hour
	}
	issuer := ca.New(logger, rows, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {Description: "of tests", ValidityPeriod: uint64(validity / time.Second)}, //nolint:gosec // of a test
	})
	checker := va.New(logger, c.HTTPPort, c.TLSPort, false, c.DNS, rows)
	for id, key := range c.EAB {
		if err := rows.AddExternalAccountKeyByID(id, key); err != nil {
			return err
		}
	}
	for _, name := range c.Blocked {
		if err := rows.AddBlockedDomain(name); err != nil {
			return err
		}
	}
	front := wfe.New(logger, rows, checker, issuer, []string{"pebble.letsencrypt.org"}, false, len(c.EAB) > 0, 0, 0)
	listen := c.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	own, authority, err := ownCertificate(listen)
	if err != nil {
		return err
	}
	directory, err := open(listen, own, front.Handler())
	if err != nil {
		return err
	}
	management, err := open("127.0.0.1:0", own, front.ManagementHandler())
	if err != nil {
		return err
	}
	said, err := json.Marshal(told{Directory: "https://" + directory + wfe.DirectoryPath, Management: "https://" + management,
		CA: authority, Root: string(issuer.GetRootCert(0).PEM())})
	if err != nil {
		return err
	}
	fmt.Println(string(said))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// open serves a handler over TLS and gives its address.
func open(address string, own tls.Certificate, handler http.Handler) (string, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
		ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.ServeTLS(ln, "", "") }()
	return ln.Addr().String(), nil
}

// ownCertificate is for the directory's own server, which listens on a loopback address or
// on another one.
func ownCertificate(listen string) (tls.Certificate, string, error) {
	at, err := netip.ParseAddrPort(listen)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "pebble's directory"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), at.Addr().AsSlice()}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
