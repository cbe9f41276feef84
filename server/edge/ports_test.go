package edge_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
)

// echo is a TCP service that half-closes after its visitor did.
func echo(conn *net.TCPConn) {
	_, _ = io.Copy(conn, conn)
	_ = conn.CloseWrite()
}

func TestTCPEndpoint(t *testing.T) {
	s := start(t)
	addr, m := s.tcpPort(rawUpstream(t, echo))
	conn := s.dial(addr)
	_, err := io.WriteString(conn, "hello")
	must(t, err)
	must(t, conn.CloseWrite())
	all, err := io.ReadAll(conn)
	must(t, err)
	if string(all) != "hello" {
		t.Errorf("got %q", all)
	}
	if h := m.header(0); h.ClientAddr.String() != conn.LocalAddr().String() || h.Scheme != postern.TCP || h.PassthroughTLS {
		t.Errorf("header %+v", h)
	}
}

func TestServerSpeaksFirst(t *testing.T) {
	s := start(t)
	addr, _ := s.tcpPort(rawUpstream(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, "220 ready\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}))
	got := make([]byte, 11)
	_, err := io.ReadFull(s.dial(addr), got)
	must(t, err)
	if string(got) != "220 ready\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestPortsOpenAndClose(t *testing.T) {
	s := start(t)
	addr, m := s.tcpPort(rawUpstream(t, echo))
	open := s.dial(addr)
	_, err := io.WriteString(open, "x")
	must(t, err)
	eventually(t, "the stream is open", func() bool { return m.opened.Load() == 1 })
	_, text, _ := net.SplitHostPort(addr)
	port := portNumber(t, text)

	must(t, s.edge.OpenPort(postern.TCP, port)) // a second member of a pool
	s.edge.ClosePort(postern.TCP, port, false)
	conn := s.dial(addr)
	_, err = io.WriteString(conn, "y")
	must(t, err)
	var b [1]byte
	_, err = io.ReadFull(conn, b[:])
	must(t, err)

	s.edge.ClosePort(postern.TCP, port, false)
	eventually(t, "the port is closed", func() bool {
		late, err := net.Dial("tcp", addr)
		if err == nil {
			late.Close()
		}
		return err != nil
	})
	_, err = io.ReadFull(open, b[:]) // connections live on
	must(t, err)
	s.edge.ClosePort(postern.TCP, port, false) // no harm

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	_, text, _ = net.SplitHostPort(taken.Addr().String())
	if err := s.edge.OpenPort(postern.TCP, portNumber(t, text)); !postern.HasCode(err, postern.CodePortUnavailable) {
		t.Errorf("a taken port: %v", err)
	}
}

func portNumber(t *testing.T, text string) uint16 {
	t.Helper()
	n := 0
	for _, c := range text {
		n = n*10 + int(c-'0')
	}
	return uint16(n)
}

// A port without an endpoint, and a service that cannot be reached, are reset.
func TestTCPFailuresAreResets(t *testing.T) {
	s := start(t)
	addr, m := s.tcpPort("127.0.0.1:1")
	if err := ending(addr); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("unreachable: %v", err)
	}
	eventually(t, "the member is reported", func() bool { return m.bad.Load() == 1 })
	s.routes.Store(nil)
	if err := ending(addr); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("no route: %v", err)
	}
}

// ending is how a connection to addr ends; a reset can be so early that connect
// itself reports it.
func ending(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = io.ReadAll(conn)
	return err
}

// B5-13 for TCP: a reset stays one.
func TestTCPResetIsNotACleanEnd(t *testing.T) {
	s := start(t)
	addr, _ := s.tcpPort(rawUpstream(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, "half")
		var b [1]byte
		_, _ = conn.Read(b[:])
		_ = conn.SetLinger(0)
	}))
	conn := s.dial(addr)
	half := make([]byte, 4)
	_, err := io.ReadFull(conn, half)
	must(t, err)
	_, err = conn.Write([]byte("x"))
	must(t, err)
	if _, err := conn.Read(half); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// PROXY protocol to the service, both versions, for TCP, TLS and HTTP.
func TestProxyProtocolToTheService(t *testing.T) {
	s := start(t)
	for version, prefix := range map[int]string{1: "PROXY TCP4 127.0.0.1 127.0.0.1 ", 2: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01"} {
		addr, _ := s.tcpPort(rawUpstream(t, echo), func(m *member) { m.options.ProxyProtocol = version })
		conn := s.dial(addr)
		_, err := io.WriteString(conn, "hello")
		must(t, err)
		must(t, conn.CloseWrite())
		all, err := io.ReadAll(conn)
		must(t, err)
		if !strings.HasPrefix(string(all), prefix) || !bytes.HasSuffix(all, []byte("hello")) {
			t.Errorf("version %d: %q", version, all)
		}
	}
}

func TestTLSPassthrough(t *testing.T) {
	s := start(t)
	certificate, err := s.issue("own." + domain)
	must(t, err)
	m := s.serve("tls://own."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		inner := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}, NextProtos: []string{"smtp"}})
		_, _ = io.Copy(inner, inner)
		_ = inner.CloseWrite()
	}))
	conn := s.dialTLS("own."+domain, "smtp")
	if got := conn.ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, certificate.Certificate[0]) {
		t.Error("not the service's certificate")
	}
	echoes(t, conn)
	if h := m.header(0); !h.PassthroughTLS || h.Scheme != postern.TLS {
		t.Errorf("header %+v", h)
	}
}

func TestTLSTerminatedAtTheEdge(t *testing.T) {
	s := start(t)
	upstream := rawUpstream(t, echo)
	atEdge := func(m *member) { m.options.Termination = postern.AtEdge }
	m := s.serve("tls://ours."+domain, upstream, atEdge)
	echoes(t, s.dialTLS("ours."+domain))
	if h := m.header(0); h.PassthroughTLS {
		t.Errorf("header %+v", h)
	}

	certificate, err := s.issue("theirs." + domain)
	must(t, err)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	must(t, err)
	s.serve("tls://theirs."+domain, upstream, atEdge, func(m *member) {
		m.options.CertificatePEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
		m.options.KeyPEM = postern.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	})
	for range 2 {
		conn := s.dialTLS("theirs." + domain)
		if got := conn.ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, certificate.Certificate[0]) {
			t.Error("not the agent's certificate")
		}
		echoes(t, conn)
	}
	s.serve("tls://broken."+domain, upstream, atEdge, func(m *member) { m.options.CertificatePEM = "nonsense" })
	if conn, err := tls.Dial("tcp", s.https, &tls.Config{ServerName: "broken." + domain, InsecureSkipVerify: true}); err == nil {
		conn.Close()
		t.Error("a broken certificate was served")
	}
}

// echoes sends, half-closes and reads back.
func echoes(t *testing.T, conn *tls.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "hello")
	must(t, err)
	must(t, conn.CloseWrite())
	all, err := io.ReadAll(conn)
	must(t, err)
	if string(all) != "hello" {
		t.Errorf("got %q", all)
	}
}
