package e2e_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

// canaries are secrets that were given to the API, in every form in which somebody could
// come by them.
type canaries map[string]string // form → whose it is

// add has a secret watched for: as it is, in JSON, in hex, and in base64 wherever it
// begins.
func (c canaries) add(whose string, secret []byte) {
	quoted, _ := json.Marshal(string(secret))
	c[string(secret)] = whose
	c[strings.Trim(string(quoted), `"`)] = whose + ", in JSON"
	c[hex.EncodeToString(secret)] = whose + ", in hex"
	for skip := range 3 {
		// What comes before shifts the groups; the first and last characters mix with others.
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, skip), secret...))
		inner := text[skip+1 : len(text)-3]
		c[inner] = whose + ", in base64"
		c[strings.NewReplacer("+", "-", "/", "_").Replace(inner)] = whose + ", in base64url"
	}
}

// addKey has a private key watched for: its text, its encoding, and its secret numbers.
func (c canaries) addKey(whose, text string, key any) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, "-----") && len(line) == 64 { // the last may be short and common
			c[line] = whose + ", a line of its text"
		}
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		secret, err := key.Bytes()
		if err != nil {
			panic(err) // a curve that nobody has
		}
		c.add(whose, secret)
	case ed25519.PrivateKey:
		c.add(whose, key.Seed())
	case *rsa.PrivateKey:
		c.add(whose, key.D.Bytes())
		c.add(whose, key.Primes[0].Bytes())
	}
}

// in gives what of the canaries is in a text.
func (c canaries) in(text []byte) (found []string) {
	for form, whose := range c {
		if bytes.Contains(text, []byte(form)) {
			found = append(found, whose)
		}
	}
	return found
}

// overheard is a transport that keeps all answers.
type overheard struct {
	*http.Transport
	answers bytes.Buffer
}

// RoundTrip implements http.RoundTripper; one at a time.
func (o *overheard) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	fmt.Fprintf(&o.answers, "%s %s\n%v\n%s\n", r.Method, r.URL, response.Header, body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

// teller gives secrets to the API.
type teller struct {
	t      *testing.T
	server *server
	heard  *overheard
	told   canaries
}

// send makes a request with a body of any shape, and gives the answer's id.
func (c *teller) send(method, path string, body any) string {
	c.t.Helper()
	text, is := body.(string)
	if !is {
		encoded, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(encoded)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, fmt.Sprintf("https://api.%s:%d%s", domain, c.server.https, path), strings.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if method == http.MethodGet || method == http.MethodDelete {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header = http.Header{"Authorization": {"Bearer " + c.server.APIKey}, "Ngrok-Version": {"2"}, "Content-Type": {"application/json"}}
	response, err := (&http.Client{Transport: c.heard, Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	var made struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil && response.StatusCode != http.StatusNoContent {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return made.ID
}

// must is send for what has to be taken.
func (c *teller) must(method, path string, body any) string {
	c.t.Helper()
	id := c.send(method, path, body)
	if id == "" {
		c.t.Fatalf("%s %s was refused:\n%s", method, path, tail(c.heard.answers.String(), 1000))
	}
	return id
}

// value is a new secret: letters, or bytes that JSON has to escape.
func (c *teller) value(whose string, n int) string {
	raw := make([]byte, 24+n)
	_, _ = rand.Read(raw)
	value := base64.RawURLEncoding.EncodeToString(raw)
	if n%3 == 1 {
		value = "\"\\\n<ü>" + value + "\x01"
	}
	c.told.add(whose, []byte(value))
	return value
}

// pair is a certificate with a key of the next kind.
func (c *teller) pair(n int) (chain, text string) {
	c.t.Helper()
	var key crypto.Signer
	switch n % 3 {
	case 1:
		key = certify.Ed25519(c.t)
	case 2:
		key = certify.RSA(c.t, 2048)
	default:
		key = certify.P256(c.t)
	}
	chain, text = certify.Of(c.t, key, fmt.Sprintf("www%d.example.com", n), nil).PEM(c.t)
	c.told.addKey(fmt.Sprintf("private key %d", n), text, key)
	return chain, text
}

// tell gives the API secrets of every kind, also where they do not belong.
func (c *teller) tell(round int) {
	c.t.Helper()
	vault := c.must("POST", "/vaults", map[string]any{"name": fmt.Sprint("vault", round), "description": marker})
	for n := range 6 {
		n += 100 * round
		name := fmt.Sprint("secret", n)
		secret := c.must("POST", "/vault_secrets", map[string]any{"name": name, "vault_id": vault, "value": c.value("first value of "+name, n), "metadata": marker})
		c.must("PATCH", "/vault_secrets/"+secret, map[string]any{"value": c.value("second value of "+name, n)})
		c.send("POST", "/vault_secrets", map[string]any{"name": name, "vault_id": vault, "value": c.value("value of a name that is taken", n)})
		c.send("POST", "/vault_secrets", map[string]any{"name": "x", "vault_id": vault, "value": []string{c.value("value in a list", n)}})
		c.send("POST", "/vault_secrets", map[string]any{"name": "x", "vault_id": "none", "value": c.value("value for no vault", n)})
		c.send("POST", "/vault_secrets", `{"name":"x","value":"`+strings.Trim(c.value("value in what is no JSON", 0), `"`)+`",}`)
		c.send("POST", "/vault_secrets", `["`+c.value("value that is no object", 0)+`"]`)
		if n%2 == 0 {
			c.send("DELETE", "/vault_secrets/"+secret, "")
		}

		chain, key := c.pair(n)
		_, another := c.pair(n + 1)
		c.must("POST", "/tls_certificates", map[string]any{"certificate_pem": chain, "private_key_pem": key, "description": marker})
		for _, wrong := range [][2]string{{chain, another}, {key, chain}, {key, key}, {chain + key, key}, {chain, key[:len(key)/2]}, {chain, "x" + key}, {chain, key + key}, {chain, chain + key}} {
			c.send("POST", "/tls_certificates", map[string]any{"certificate_pem": wrong[0], "private_key_pem": wrong[1]})
		}
		c.send("POST", "/certificate_authorities", map[string]any{"ca_pem": key})
		c.send("POST", "/tls_certificates", map[string]any{"certificate_pem": chain, "private_key_pem": []string{key}})
		c.must("POST", "/event_destinations", map[string]any{"format": "json", "target": map[string]any{"datadog": map[string]any{"api_key": c.value("key of Datadog", 3*n), "service": marker}}})
	}
	for _, kind := range []string{"ed25519", "ecdsa"} {
		c.must("POST", "/ssh_certificate_authorities", map[string]any{"private_key_type": kind, "description": marker})
	}
	for _, path := range []string{"/vaults", "/vault_secrets", "/vaults/" + vault + "/secrets", "/tls_certificates", "/ssh_certificate_authorities", "/event_destinations", "/openapi.json"} {
		c.send("GET", path, "")
	}
}

// marker is in what is no secret, so that a scan that sees too little is noticed.
const marker = "this-is-no-secret-and-has-to-be-seen"

// scan looks for what was told in the answers, what the server printed, and every file of
// its data directory.
func (c *teller) scan(when string) {
	c.t.Helper()
	places := map[string][]byte{"the answers": c.heard.answers.Bytes(), "what the server printed": []byte(c.server.process.output())}
	data := filepath.Join(filepath.Dir(c.server.Config), "data")
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		places[filepath.Base(path)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	seen := map[string]bool{}
	for place, text := range places {
		kind, _, _ := strings.Cut(place, "-") // the database's log is part of it
		seen[kind] = seen[kind] || bytes.Contains(text, []byte(marker))
		for _, whose := range c.told.in(text) {
			c.t.Errorf("%s, %s: %s", when, place, whose)
		}
		// What the server has made itself nobody can know; PKCS #8 begins alike (RFC 8410 §7).
		for _, begin := range []string{"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", "MC4CAQAwBQYDK2VwBCIEI", "302e020100300506032b657004220420"} {
			if bytes.Contains(text, []byte(begin)) {
				c.t.Errorf("%s, %s: an Ed25519 key", when, place)
			}
		}
	}
	if !seen["the answers"] || !seen["postern.db"] || len(places["what the server printed"]) == 0 {
		c.t.Errorf("%s: %v lack what they must have: this test sees too little", when, seen)
	}
}

// No secret that went in through the API is on the disk, in what the server prints,
// or in an answer, in whatever form; nor after a kill, which leaves the database's log.
func TestNoSecretIsLeftBehind(t *testing.T) {
	s := startServer(t)
	c := &teller{t: t, server: s, heard: &overheard{Transport: s.transport()}, told: canaries{}}
	t.Cleanup(c.heard.CloseIdleConnections)
	destination := c.must("POST", "/event_destinations", map[string]any{"format": "json", "target": map[string]any{"debug": map[string]any{"log": true}}})
	sources := []map[string]string{}
	for _, kind := range []string{"vault", "secret", "tls_certificate", "certificate_authority", "ssh_certificate_authority", "event_destination"} {
		for _, what := range []string{"created", "updated", "deleted"} {
			sources = append(sources, map[string]string{"type": kind + "_" + what + ".v0"})
		}
	}
	c.must("POST", "/event_subscriptions", map[string]any{"sources": sources, "destination_ids": []string{destination}})
	c.tell(0)
	c.scan("while it runs")
	s.process.signal(syscall.SIGKILL)
	s.process.wait(5 * time.Second)
	c.scan("after it was killed")
	s.start()
	c.heard.CloseIdleConnections()
	c.tell(1)
	c.scan("after it was started again")
	s.process.signal(syscall.SIGTERM)
	s.process.wait(20 * time.Second)
	c.scan("after it has ended")
}

// A scan finds what it has to find, wherever it begins.
func TestCanariesAreFound(t *testing.T) {
	secret := []byte("correct horse battery staple \"quoted\"")
	told := canaries{}
	told.add("it", secret)
	quoted, err := json.Marshal(map[string]string{"value": string(secret)})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(secret), string(quoted), hex.EncodeToString(append([]byte("xy"), secret...))} {
		if len(told.in([]byte(text))) == 0 {
			t.Errorf("not found in %q", text)
		}
	}
	for before := range 5 {
		plain := append(bytes.Repeat([]byte{7}, before), append(secret, "behind"...)...)
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			if text := encoding.EncodeToString(plain); len(told.in([]byte(text))) == 0 {
				t.Errorf("not found in %q", text)
			}
		}
	}
	if found := told.in([]byte("nothing of it")); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}
