package native

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestReplyRoundTrip(t *testing.T) {
	for _, want := range []link.Bound{
		{ID: "b", EndpointID: "ep", Token: "t", URL: postern.URL{Scheme: postern.HTTPS, Host: "a.test"}, PublicURL: "https://a.test:8443"},
		{ID: "b", URL: postern.URL{Scheme: postern.TCP, Host: "tcp.a.test", Port: 20001}, PublicURL: "tcp://tcp.a.test:20001"},
		{ID: "b", URL: postern.URL{Scheme: postern.TLS, Host: "*.a.test"}, PublicURL: "tls://*.a.test"},
	} {
		message, err := reply(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readReply(&message); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
}

func TestReadReplyRefuses(t *testing.T) {
	for _, raw := range []string{`null`, `{"URL":"https://a/b"}`, `{"URL":"gopher://a"}`, `[]`} {
		if _, err := readReply(&sessionmsg.BindResp{Opts: json.RawMessage(raw)}); !postern.HasCode(err, postern.CodeProtocolViolation) {
			t.Errorf("%s: got %v", raw, err)
		}
	}
}

// The agent prints the URL, and writes it to files that are read by line.
func TestReplyWithATextForAURL(t *testing.T) {
	for _, text := range []string{"https://a.test\nhttps://b.test", "https://a.test/\x1b[2J", "https://a\u202eb.test", "gopher://a.test"} {
		message, err := reply(nil, link.Bound{ID: "b", URL: postern.URL{Scheme: postern.HTTPS, Host: "a.test"}, PublicURL: text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readReply(&message); !postern.HasCode(err, postern.CodeProtocolViolation) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A request that the server accepts is one that our agent can send: it means the
// same after another journey.
func FuzzReadBind(f *testing.F) {
	f.Add("https", "", `{"URL":"https://a.test","HostHeader":"b:80","ProxyProtocol":1}`)
	f.Add("tls", "", `{"URL":"tls://*.a.test","Termination":"edge"}`)
	f.Add("tcp", "", `{"URL":"tcp://[::1]:22"}`)
	f.Add("http", "http2", `{"Subdomain":"mine"}`)
	f.Fuzz(func(t *testing.T, proto, forwardsProto, opts string) {
		if !json.Valid([]byte(opts)) {
			return
		}
		message := sessionmsg.Bind{Proto: proto, ForwardsProto: forwardsProto, Opts: json.RawMessage(opts)}
		first, err := readBind(&message)
		if err != nil {
			if postern.HasCode(err, postern.CodeInternal) {
				t.Fatalf("%s: %v has no code", opts, err)
			}
			return
		}
		sent, err := newBind(first)
		if err != nil {
			return
		}
		second, err := readBind(&sent)
		if err != nil {
			t.Fatalf("%s was accepted, %s not: %v", opts, sent.Opts, err)
		}
		if diff := cmp.Diff(first, second, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, postern.Secret(""))); diff != "" {
			t.Fatalf("%s (-first +second):\n%s", opts, diff)
		}
	})
}
