package native_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// otherServer is a server of another release, written by hand: it answers the agent's
// Auth with a text, and gives what it has of the session to then. It listens on
// loopback.
func otherServer(t *testing.T, answer string, then func(*mux.Session)) (dial func() net.Conn) {
	t.Helper()
	certificate, roots := testkit.Certificate(t, testkit.TLSName)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"postern/2", native.ALPN},
	})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		// A frame of a kind that the agent does not know comes first.
		_, _ = conn.Write([]byte{0, 0, 5, 9<<4 | 0xf, 0, 0, 0, 76, 'f', 'r', 'a', 'm', 'e'})
		s := mux.New(conn, mux.Config{Window: 1 << 20, RichResets: true})
		if _, st, err := s.Accept(t.Context()); err == nil {
			var auth sessionmsg.Auth
			_ = sessionmsg.Read(st, &auth)
			_, _ = io.WriteString(st, answer)
			_ = st.Close()
			then(s)
		}
		<-s.Closed()
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-over
	})
	return func() net.Conn {
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: testkit.TLSName, NextProtos: []string{native.ALPN}})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// B5-33: an agent works with a server of another release, and leaves alone what it does
// not know.
func TestServersOfOtherReleases(t *testing.T) {
	const extra = `"AgentSessionID":"ts_1","Cookie":"c","Region":"r"`
	for name, answer := range map[string]string{
		"two back":  `{"Version":"2","ClientId":"a","Extra":{` + extra + `}}`,
		"one back":  `{"Version":"3","ClientId":"a","Extra":{` + extra + `,"Postern":{"Names":[]}}}`,
		"one ahead": `{"Version":"3","ClientId":"a","Tide":[{}],"Extra":{` + extra + `,"Moon":"full","Postern":{"Names":["teleport","carriers"],"Session":"s","Secret":"x","Carriers":9}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			echoed, unknown := make(chan string, 1), make(chan error, 1)
			dial := otherServer(t, answer, func(s *mux.Session) {
				st, err := s.Open(t.Context(), 4711, []byte(`{"Of":"tomorrow"}`))
				if err == nil {
					_ = st.SetDeadline(time.Now().Add(10 * time.Second))
					_, err = st.Read(make([]byte, 1))
				}
				unknown <- err
				// A carrier that was not offered, and a visitor with more said of him.
				_, _ = s.Open(t.Context(), 14, []byte(`{"Carriers":3}`))
				echoed <- visitWith(t, s, `{"Id":"e","ClientAddr":"203.0.113.9:1","Proto":"tcp","Mood":{"Good":true}}`, "hello")
			})
			client, welcome, err := native.Connect(t.Context(), dial(), native.ClientConfig{Hello: hello, Logger: testkit.Logger(t)})
			if err != nil || welcome.SessionID != "ts_1" || welcome.ClientID != "a" {
				t.Fatalf("%+v, %v", welcome, err)
			}
			defer func() {
				client.Close(nil)
				<-client.Closed()
			}()
			go func() {
				header, stream, err := client.Accept(t.Context())
				if err == nil && header.Endpoint == "e" {
					echo(stream)
				}
			}()
			if got := <-echoed; got != "hello" {
				t.Errorf("a visitor got %q", got)
			}
			if err := <-unknown; err == nil || errors.Is(err, io.EOF) {
				t.Errorf("a stream of an unknown type: %v", err)
			}
			if client.Cause() != nil {
				t.Errorf("the session ended: %v", client.Cause())
			}
		})
	}
}

// visitWith opens a visitor's stream with the header, sends text and reads it back.
func visitWith(t *testing.T, s *mux.Session, header, text string) string {
	length := []byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}
	st, err := s.Open(t.Context(), sessionmsg.TypeProxy, length, []byte(header), []byte(text))
	if err != nil {
		return err.Error()
	}
	defer st.Close()
	_ = st.SetDeadline(time.Now().Add(10 * time.Second))
	_ = st.CloseWrite()
	got, err := io.ReadAll(st)
	if err != nil {
		return err.Error()
	}
	return string(got)
}

// B5-33: what a server of another release refuses, it refuses in words; and a version
// that was never offered ends the session.
func TestServersThatRefuse(t *testing.T) {
	for answer, code := range map[string]postern.Code{
		`{"Version":"5","Error":"the agent is too old\n\nERR_NGROK_120\n","Extra":{}}`:                      postern.CodeAgentTooOld,
		`{"Version":"3","Error":"the server is\n\nERR_NGROK_120\nERR_POSTERN_109\n","Extra":{"Postern":1}}`: postern.CodeProtocolViolation,
		`{"Version":"3","Error":"the server is\n\nERR_NGROK_120\nERR_POSTERN_109\n"}`:                       postern.CodeServerTooOld,
		`{"Version":"4","ClientId":"a","Extra":{"AgentSessionID":"ts_1"}}`:                                  postern.CodeProtocolViolation,
		`{"ClientId":"a","Extra":{"AgentSessionID":"ts_1"}}`:                                                postern.CodeProtocolViolation,
	} {
		dial := otherServer(t, answer, func(*mux.Session) {})
		if _, _, err := native.Connect(t.Context(), dial(), native.ClientConfig{Hello: hello, Logger: testkit.Logger(t)}); !postern.HasCode(err, code) {
			t.Errorf("%s: %v, want %s", answer, err, code)
		}
	}
}
