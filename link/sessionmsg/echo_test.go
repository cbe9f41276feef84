package sessionmsg_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

func bound(scheme postern.Scheme, host postern.Hostname, port uint16) link.Bound {
	u := postern.URL{Scheme: scheme, Host: host, Port: port}
	return link.Bound{ID: "i", EndpointID: "ep_1", Token: "t", URL: u, PublicURL: u.String()}
}

func TestEcho(t *testing.T) {
	tests := []struct {
		name, proto, opts string
		bound             link.Bound
		want              string
	}{
		{"ngrok-go: URL", "https", `{"URL":"","Domain":"","ProxyProto":0,"Compression":null}`, bound(postern.HTTPS, "a.test", 0),
			`{"Compression":null,"Domain":"","ProxyProto":0,"URL":"https://a.test"}`},
		{"ngrok-rust: Domain", "https", `{"Domain":"","Hostname":"","Subdomain":"","Auth":""}`, bound(postern.HTTPS, "a.test", 0),
			`{"Auth":"","Domain":"a.test","Hostname":"","Subdomain":""}`},
		{"no Domain either", "https", `{"Subdomain":"s"}`, bound(postern.HTTPS, "s.a.test", 0), `{"Domain":"s.a.test","Subdomain":"s"}`},
		{"ngrok-rust: Addr", "tcp", `{"Addr":"","ProxyProto":1}`, bound(postern.TCP, "tcp.a.test", 20001), `{"Addr":"tcp.a.test:20001","ProxyProto":1}`},
		{"the key as it was written", "https", `{"url":""}`, bound(postern.HTTPS, "a.test", 0), `{"url":"https://a.test"}`},
		{"no Opts at all", "https", `null`, bound(postern.HTTPS, "a.test", 0), `{"Domain":"a.test"}`},
		{"unknown members stay", "https", `{"URL":"","Later":{"x":[1,2.50]}}`, bound(postern.HTTPS, "a.test", 0), `{"Later":{"x":[1,2.50]},"URL":"https://a.test"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			message := bind(tt.proto, tt.opts)
			response, err := message.Reply(tt.bound)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(response.Opts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if response.URL != tt.bound.PublicURL || response.Proto != string(tt.bound.URL.Scheme) || response.ID != "i" ||
				response.Extra.Token != "t" || response.Extra.TunnelID != "ep_1" {
				t.Errorf("got %+v", response)
			}
		})
	}
}

func TestRefuseKeepsOpts(t *testing.T) {
	message := bind("tcp", `{"Addr":""}`)
	response := message.Refuse(postern.Errorf(postern.CodePortUnavailable, "taken"))
	if string(response.Opts) != `{"Addr":""}` || response.Error == "" {
		t.Errorf("got %+v", response)
	}
}

// Whatever Opts are accepted, their echo is accepted too and asks for what was
// bound: an agent that comes back keeps its name.
func FuzzOpts(f *testing.F) {
	f.Add("https", goHTTP)
	f.Add("http", rustHTTP)
	f.Add("tcp", `{"Addr":"a.test:1","ProxyProto":"2"}`)
	f.Add("tls", `{"Hostname":"ä.test","TLSTermination":{"cert":"","key":""}}`)
	f.Add("", `{"URL":"https://*.a.test","url":"b","Policy":{"inbound":[{"name":""}]}}`)
	f.Fuzz(func(t *testing.T, proto, opts string) {
		if !json.Valid([]byte(opts)) {
			return
		}
		message := bind(proto, opts)
		request, err := message.Request()
		if err != nil {
			if postern.HasCode(err, postern.CodeInternal) {
				t.Fatalf("%s: %v has no code", opts, err)
			}
			return
		}
		given := bound(request.URL.Scheme, "given.test", 0)
		if request.URL.Scheme == postern.TCP {
			given = bound(postern.TCP, "given.test", 20001)
		}
		response, err := message.Reply(given)
		if err != nil {
			return // one message cannot hold it
		}
		again := message
		again.Proto, again.Opts = response.Proto, response.Opts
		second, err := again.Request()
		if err != nil {
			t.Fatalf("%s was accepted, its echo %s not: %v", opts, response.Opts, err)
		}
		if second.URL.Scheme != given.URL.Scheme || second.URL.Host != given.URL.Host || second.URL.Port != given.URL.Port {
			t.Fatalf("%s was bound to %s, its echo %s asks for %+v", opts, given.PublicURL, response.Opts, second.URL)
		}
		if second.Options != request.Options || cmp.Diff(second.Unsupported, request.Unsupported) != "" {
			t.Fatalf("the echo %s of %s asks for other options", response.Opts, opts)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	message := bind("https", goHTTP)
	var err error
	for b.Loop() {
		_, err = message.Request()
	}
	if err != nil {
		b.Fatal(err)
	}
}
