package dial_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit"
)

// hashOfPassword is MD4 of "password" in UTF-16, as every table of such hashes has it.
const hashOfPassword = "8846f7eaee8fb117ad06bdd830b7586c"

// ntlmProxy proves its users with NTLMv2 (MS-NLMP 3.3.2), connection by connection.
type ntlmProxy struct {
	scheme       string // under which it takes it
	others       []string
	user, domain string
	closesFirst  bool // after a 407 without a challenge

	mu    sync.Mutex
	basic int // how often it was shown a password
	conns int
}

var serverChallenge = []byte{1, 2, 3, 4, 5, 6, 7, 8}

func (p *ntlmProxy) serve(conn net.Conn) {
	p.mu.Lock()
	p.conns++
	p.mu.Unlock()
	requests, challenged := bufio.NewReader(conn), false
	for {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		scheme, text, _ := strings.Cut(request.Header.Get("Proxy-Authorization"), " ")
		if scheme == "Basic" {
			p.mu.Lock()
			p.basic++
			p.mu.Unlock()
		}
		message, _ := base64.StdEncoding.DecodeString(text)
		switch {
		case scheme != p.scheme || len(message) < 12 || string(message[:8]) != "NTLMSSP\x00":
			offers := ""
			for _, other := range append(p.others, p.scheme) {
				offers += "Proxy-Authenticate: " + other + "\r\n"
			}
			ends := ""
			if p.closesFirst {
				ends = "Proxy-Connection: close\r\n"
			}
			fmt.Fprintf(conn, "HTTP/1.1 407 Proxy Authentication Required\r\n%s%sContent-Length: 20\r\n\r\n<html>no, not you</>", offers, ends)
			if p.closesFirst {
				return
			}
		case message[8] == 1:
			challenged = true
			fmt.Fprintf(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s %s\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
				p.scheme, base64.StdEncoding.EncodeToString(p.challenge()))
		case message[8] == 3 && challenged && p.proves(message):
			_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\nthe server's bytes")
			return
		default:
			fmt.Fprintf(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s\r\nContent-Length: 0\r\n\r\n", p.scheme)
			challenged = false
		}
	}
}

// challenge is a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2) with a domain's name as all that
// it says of its target.
func (p *ntlmProxy) challenge() []byte {
	name := wide(p.domain)
	info := binary.LittleEndian.AppendUint16(nil, 2) // MsvAvNbDomainName
	info = binary.LittleEndian.AppendUint16(info, uint16(len(name)))
	info = append(append(info, name...), 0, 0, 0, 0)
	const head = 48
	message := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	message = appendField(message, len(name), head)
	message = binary.LittleEndian.AppendUint32(message, 0x00800000|0x00080000|0x200|1) // target info, extended security, NTLM, Unicode
	message = append(append(message, serverChallenge...), make([]byte, 8)...)
	message = appendField(message, len(info), head+len(name))
	return append(append(message, name...), info...)
}

func appendField(b []byte, size, offset int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(size))
	b = binary.LittleEndian.AppendUint16(b, uint16(size))
	return binary.LittleEndian.AppendUint32(b, uint32(offset))
}

// proves checks an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3).
func (p *ntlmProxy) proves(message []byte) bool {
	field := func(at int) []byte {
		size, offset := binary.LittleEndian.Uint16(message[at:]), binary.LittleEndian.Uint32(message[at+4:])
		return message[offset:][:size]
	}
	response, domain, user := field(20), field(28), field(36)
	if string(domain) != string(wide(p.domain)) || string(user) != string(wide(p.user)) || len(response) < 16 {
		return false
	}
	password, _ := hex.DecodeString(hashOfPassword)
	key := sum(password, append(wide(strings.ToUpper(p.user)), wide(p.domain)...))
	return hmac.Equal(response[:16], sum(key, append(append([]byte(nil), serverChallenge...), response[16:]...)))
}

func sum(key, text []byte) []byte {
	mac := hmac.New(md5.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

func wide(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

func TestNTLMProxy(t *testing.T) {
	for name, c := range map[string]struct {
		proxy *ntlmProxy
		user  string
		code  postern.Code // "" works
		conns int
		basic int
	}{
		"with a domain":         {&ntlmProxy{scheme: "NTLM", user: "ada", domain: "CORP"}, `CORP\ada:password@`, "", 1, 0},
		"escaped":               {&ntlmProxy{scheme: "NTLM", user: "ada", domain: "CORP"}, `CORP%5Cada:password@`, "", 1, 0},
		"without a domain":      {&ntlmProxy{scheme: "NTLM", user: "ada"}, `ada:password@`, "", 1, 1},
		"ends the first":        {&ntlmProxy{scheme: "NTLM", user: "ada", closesFirst: true}, `ada:password@`, "", 2, 1},
		"under Negotiate":       {&ntlmProxy{scheme: "Negotiate", user: "ada"}, `ada:password@`, "", 1, 1},
		"beside Kerberos":       {&ntlmProxy{scheme: "NTLM", others: []string{"Negotiate", `Digest realm="x"`}, user: "ada"}, `ada:password@`, "", 1, 1},
		"a wrong password":      {&ntlmProxy{scheme: "NTLM", user: "ada", domain: "CORP"}, `CORP\ada:wrong@`, postern.CodeProxyRefused, 1, 0},
		"another user":          {&ntlmProxy{scheme: "NTLM", user: "ada"}, `bob:password@`, postern.CodeProxyRefused, 1, 1},
		"nobody":                {&ntlmProxy{scheme: "NTLM", user: "ada"}, ``, postern.CodeProxyRefused, 1, 0},
		"a domain, but no NTLM": {&ntlmProxy{scheme: "Digest", user: "ada"}, `CORP\ada:password@`, postern.CodeProxyRefused, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			addr := proxied(t, c.proxy.serve)
			conn, err := through(t, "http://"+c.user+addr)
			c.proxy.mu.Lock()
			defer c.proxy.mu.Unlock()
			if c.proxy.conns != c.conns || c.proxy.basic != c.basic {
				t.Errorf("%d connections, %d with a readable password; want %d, %d", c.proxy.conns, c.proxy.basic, c.conns, c.basic)
			}
			if c.code != "" {
				if !postern.HasCode(err, c.code) || strings.Contains(err.Error(), "password:") || strings.Contains(err.Error(), "wrong") {
					t.Errorf("Dial = %v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); err != nil || string(got) != "the server's bytes" {
				t.Errorf("behind the proxy: %q, %v", got, err)
			}
		})
	}
}

// The same behind TLS, vouched for by an authority that the agent was given.
func TestHTTPSProxy(t *testing.T) {
	certificate, roots := testkit.Certificate(t, "proxy.localhost")
	proxy := &ntlmProxy{scheme: "NTLM", user: "ada", domain: "CORP", closesFirst: true}
	addr := proxied(t, func(conn net.Conn) {
		proxy.serve(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	})
	_, port, _ := net.SplitHostPort(addr)
	for _, c := range []struct {
		name    string
		roots   *x509.CertPool
		trusted bool
	}{{"proxy.localhost", roots, true}, {"other.localhost", roots, false}, {"proxy.localhost", nil, false}} {
		parsed, err := dial.ParseProxy("test", `https://CORP\ada:password@`+c.name+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		parsed.Roots = c.roots
		conn, err := (&dial.Dialer{Proxy: parsed}).Dial(t.Context(), "tcp", "server.test:443")
		_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
		if c.trusted != (err == nil) || untrusted == c.trusted {
			t.Errorf("%s, trusted %t: %v", c.name, c.trusted, err)
		}
		if err != nil {
			continue
		}
		if got, err := io.ReadAll(conn); err != nil || string(got) != "the server's bytes" {
			t.Errorf("behind the proxy: %q, %v", got, err)
		}
		conn.Close()
	}
}

// A proxy that answers with whatever message fails the dial, and nothing else.
func FuzzNTLMChallenge(f *testing.F) {
	f.Add((&ntlmProxy{domain: "CORP"}).challenge())
	f.Add([]byte("NTLMSSP\x00\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"))
	parsed, err := dial.ParseProxy("test", `http://CORP\ada:password@proxy.test`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, challenge []byte) {
		answer := "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM " + base64.StdEncoding.EncodeToString(challenge) + "\r\nContent-Length: 0\r\n\r\n" +
			"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
		if err := dial.Connect(parsed, answer, "server.test:443"); err == nil {
			t.Error("a proxy that refuses was taken for one that connects")
		}
	})
}
