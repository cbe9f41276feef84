package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/sessionmsg"
	"github.com/postern-dev/postern/server"
)

// skewed is an agent of another release, written by hand.
type skewed struct {
	n       *node
	session *mux.Session
}

// dialSkewed connects with the ALPN names; without any as SDKs do.
func (n *node) dialSkewed(before []byte, alpn ...string) (*skewed, error) {
	n.t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", n.HTTPSAddr().String(), &tls.Config{
		RootCAs: n.Roots(), ServerName: "connect." + domain, NextProtos: alpn,
	})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(before); err != nil {
		n.t.Fatal(err)
	}
	config := mux.Config{Client: true}
	if conn.ConnectionState().NegotiatedProtocol == native.ALPN {
		config.Window, config.RichResets = 1<<20, true
	}
	s := &skewed{n, mux.New(conn, config)}
	n.t.Cleanup(func() {
		s.session.Close(nil)
		<-s.session.Closed()
	})
	return s, nil
}

// call sends a request as text and reads the reply.
func (s *skewed) call(streamType uint32, request string, reply any) error {
	stream, err := s.session.Open(s.n.t.Context(), streamType, []byte(request))
	if err != nil {
		return err
	}
	defer stream.Close()
	_ = stream.SetDeadline(time.Now().Add(10 * time.Second))
	return sessionmsg.Read(stream, reply)
}

// serve answers one visitor.
func (s *skewed) serve(answer string) {
	_, stream, err := s.session.Accept(s.n.t.Context())
	if err != nil {
		return
	}
	defer stream.Close()
	if _, err := sessionmsg.ReadProxyHeader(stream); err != nil {
		return
	}
	// An answer that comes before its question is not one.
	if _, err := http.ReadRequest(bufio.NewReader(stream)); err == nil {
		_, _ = fmt.Fprintf(stream, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
	}
}

// B5-33: agents and SDKs of other releases, by what they say first.
func TestAgentsOfOtherReleases(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	token := n.Keys().Authtoken
	ours := []string{native.ALPN}
	// A frame of a kind that this server does not know, on a stream that there is not.
	frame := []byte{0, 0, 5, 9<<4 | 0xf, 0, 0, 0, 77, 'f', 'r', 'a', 'm', 'e'}
	for name, c := range map[string]struct {
		alpn    []string
		before  []byte
		hello   string
		code    postern.Code // that it is refused with; "" for none
		version string
		agreed  []string // extensions
	}{
		"two releases back":       {ours, nil, `{"Version":["2"],"Extra":{"Authtoken":"%s"}}`, "", "2", nil},
		"one back":                {ours, nil, `{"Version":["3","2"],"Extra":{"Authtoken":"%s","Postern":{"Names":["drain"]}}}`, "", "3", []string{"drain"}},
		"one ahead":               {[]string{"postern/2", native.ALPN}, frame, `{"Version":["4","3","2"],"Fleet":{"Of":[1,{"a":null}]},"Extra":{"Authtoken":"%s","Version":"99.0.0","Zone":"x","Postern":{"Names":["teleport","drain"],"Keys":[1]}}}`, "", "3", []string{"drain"}},
		"far back":                {ours, nil, `{"Version":["1"],"Extra":{"Authtoken":"%s"}}`, postern.CodeAgentTooOld, "", nil},
		"before versions":         {ours, nil, `{"Extra":{"Authtoken":"%s"}}`, postern.CodeAgentTooOld, "", nil},
		"far ahead":               {ours, nil, `{"Version":["5","4"],"Extra":{"Authtoken":"%s"}}`, postern.CodeServerTooOld, "", nil},
		"SDK":                     {nil, nil, `{"Version":["3","2"],"ClientId":"","Extra":{"Authtoken":"%s","UserAgent":"ngrok-go/2.0.0"}}`, "", "3", nil},
		"SDK, older":              {nil, nil, `{"Version":["2"],"ClientId":"","Extra":{"Authtoken":"%s","UserAgent":"ngrok-go/1.0.0"}}`, "", "2", nil},
		"SDK, newer":              {nil, frame, `{"Version":["4","3"],"ClientId":"","Extra":{"Authtoken":"%s","UserAgent":"ngrok-go/3.0.0","Quantum":{"Keys":["x"]}}}`, "", "3", nil},
		"SDK, far back":           {nil, nil, `{"Version":["1"],"ClientId":"","Extra":{"Authtoken":"%s","UserAgent":"ngrok/1.7"}}`, postern.CodeAgentTooOld, "", nil},
		"SDK, far ahead":          {nil, nil, `{"Version":["4"],"ClientId":"","Extra":{"Authtoken":"%s","UserAgent":"ngrok-go/9.0.0"}}`, postern.CodeServerTooOld, "", nil},
		"SDK with our extensions": {nil, nil, `{"Version":["3"],"Extra":{"Authtoken":"%s","Postern":{"Names":["drain"]}}}`, "", "3", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := (&node{n.Node, t, n.config}).dialSkewed(c.before, c.alpn...)
			if err != nil {
				t.Fatal(err)
			}
			var reply sessionmsg.AuthResp
			if err := s.call(sessionmsg.TypeAuth, fmt.Sprintf(c.hello, token), &reply); err != nil {
				t.Fatal(err)
			}
			if c.code != "" {
				if _, err := reply.Welcome(); !postern.HasCode(err, c.code) || !strings.Contains(reply.Error, "ERR_NGROK_120") {
					t.Errorf("refused with %q, want %s", reply.Error, c.code)
				}
				return // link/sessionmsg's tests see the session end
			}
			var agreed []string
			if reply.Extra.Postern != nil {
				agreed = reply.Extra.Postern.Names
			}
			if reply.Error != "" || reply.Version != c.version || !slices.Equal(agreed, c.agreed) {
				t.Fatalf("%q, version %q, extensions %v", reply.Error, reply.Version, agreed)
			}
			s.works(t)
		})
	}
}

// works has the session do its job, beside requests that this server does not know.
func (s *skewed) works(t *testing.T) {
	t.Helper()
	var none map[string]json.RawMessage
	if err := s.call(4711, `{"Of":"tomorrow"}`, &none); err == nil {
		t.Errorf("a request of an unknown type was answered with %v", none)
	}
	var bound sessionmsg.BindResp
	if err := s.call(sessionmsg.TypeBind, `{"Proto":"https","Opts":{"Subdomain":""},"Weather":"fine","Extra":{"Shade":1}}`, &bound); err != nil || bound.Error != "" {
		t.Fatalf("%+v, %v", bound, err)
	}
	go s.serve("hello from another time")
	if status, body := s.n.get(s.n.Visitor(), bound.URL); status != http.StatusOK || body != "hello from another time" {
		t.Errorf("the visitor got %d %q", status, body)
	}
}

// B5-33: an option of tomorrow is refused by name, as it might keep visitors out.
func TestOptionsOfOtherReleases(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	s, err := n.dialSkewed(nil, native.ALPN)
	if err != nil {
		t.Fatal(err)
	}
	var welcome sessionmsg.AuthResp
	if err := s.call(sessionmsg.TypeAuth, `{"Version":["3"],"Extra":{"Authtoken":"`+n.Keys().Authtoken+`"}}`, &welcome); err != nil || welcome.Error != "" {
		t.Fatalf("%+v, %v", welcome, err)
	}
	for opts, want := range map[string]string{
		`{"Moat":{"Depth":3}}`:                   `"Moat"`,
		`{"Middleware":{"Moat":{"Depth":3}}}`:    `Moat`,
		`{"Moat":null,"subdomain":"","URL":""}`:  "",
		`{"URL":"https://","ProxyProtocol":9}`:   "ProxyProtocol",
		`{"Moat":true,"Middleware":{},"URL":""}`: `"Moat"`,
	} {
		var bound sessionmsg.BindResp
		if err := s.call(sessionmsg.TypeBind, `{"Proto":"https","Opts":`+opts+`,"Extra":{"PoolingEnabled":true}}`, &bound); err != nil {
			t.Fatal(err)
		}
		if (want == "") != (bound.Error == "") || !strings.Contains(bound.Error, want) {
			t.Errorf("%s: %q, want %q", opts, bound.Error, want)
		}
	}
}

// B5-33: where the framing itself is another one, the handshake says so.
func TestFramingOfAnotherRelease(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	if _, err := n.dialSkewed(nil, "postern/2"); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("got %v", err)
	}
}
