package edge_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
)

// rulesOf is a policy of so many rules, all of which are asked; the last one of more than
// one adds a header.
func rulesOf(n int) string {
	if n == 0 {
		return "{}"
	}
	var text strings.Builder
	text.WriteString("on_http_request:\n")
	for i := range max(n-1, 1) {
		fmt.Fprintf(&text, "- expressions: [\"req.url.path == '/none/%d'\", \"conn.client_ip == '198.51.100.7'\"]\n  actions: [{type: deny}]\n", i)
	}
	if n > 1 {
		text.WriteString("- actions: [{type: add-headers, config: {headers: {x-a: b}}}]\n")
	}
	return text.String()
}

// policedStreams gives a function that makes one small GET over a kept HTTP/2 connection; the
// service is free, and so is most of the visitor.
func policedStreams(t testing.TB, p *policy.Program) func() {
	s := start(t, func(c *edge.Config) { c.Logger = nil })
	s.canned("https://app."+domain, p)
	conn := s.dialTLS("app."+domain, "h2")
	must(t, conn.SetDeadline(time.Time{}))
	f := greet(t, conn)
	var block strings.Builder
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0) // every block is the same
	for _, field := range [][2]string{
		{":method", "GET"}, {":scheme", "https"}, {":authority", "app." + domain}, {":path", "/path?query"},
		{"user-agent", "benchmark/1.0"}, {"accept", "*/*"},
	} {
		must(t, e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	head := []byte(block.String())
	id := uint32(1)
	return func() {
		must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndHeaders: true, EndStream: true}))
		id += 2
		for {
			frame, err := f.ReadFrame()
			must(t, err)
			switch frame := frame.(type) {
			case *http2.DataFrame:
				if frame.StreamEnded() {
					return
				}
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				t.Fatal(frame)
			}
		}
	}
}

// greet begins HTTP/2 with windows that never close.
func greet(t testing.TB, conn *tls.Conn) *http2.Framer {
	_, err := io.WriteString(conn, http2.ClientPreface)
	must(t, err)
	f := http2.NewFramer(conn, conn)
	f.SetReuseFrames()
	must(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
	must(t, f.WriteWindowUpdate(0, 1<<30))
	for {
		frame, err := f.ReadFrame()
		must(t, err)
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			must(t, f.WriteSettingsAck())
			return f
		}
	}
}

// policedProtocols are the ways in which requests with policies come.
var policedProtocols = []struct {
	name string
	make func(t testing.TB, p *policy.Program) func()
}{
	{"http/1.1", func(t testing.TB, p *policy.Program) func() { return exchangesWith(t, smallGet, p, relayAlone) }},
	{"h2", policedStreams},
}

// costs gives a function that makes a request to an endpoint with so many rules, -1: with
// no policy.
func costs(t testing.TB, protocol func(testing.TB, *policy.Program) func(), rules int) func() {
	var p *policy.Program
	if rules >= 0 {
		p = compiled(t, postern.HTTPS, rulesOf(rules))
	}
	exchange := protocol(t, p)
	for range 10 {
		exchange()
	}
	return exchange
}

// An endpoint without a policy, or with one that asks nothing, costs what it did before
// there were policies: over the relay nothing, and over HTTP/2 the same.
func TestNoPolicyCostsNothing(t *testing.T) {
	for _, protocol := range policedProtocols {
		without := testing.AllocsPerRun(300, costs(t, protocol.make, -1))
		empty := testing.AllocsPerRun(300, costs(t, protocol.make, 0))
		rules := testing.AllocsPerRun(300, costs(t, protocol.make, 1))
		if protocol.name == "http/1.1" && without > 0 {
			t.Errorf("%s: %v allocations for a request without a policy", protocol.name, without)
		}
		if empty > without+0.5 {
			t.Errorf("%s: %v allocations for a request with an empty policy, %v without", protocol.name, empty, without)
		}
		if rules <= without {
			t.Errorf("%s: %v allocations for a request with a rule, %v without: nobody has asked it", protocol.name, rules, without)
		}
	}
}

func BenchmarkPolicy(b *testing.B) {
	for _, protocol := range policedProtocols {
		for _, rules := range []int{-1, 0, 1, 20} {
			name := fmt.Sprint(rules, " rules")
			if rules < 0 {
				name = "none"
			}
			b.Run(protocol.name+"/"+name, func(b *testing.B) {
				exchange := costs(b, protocol.make, rules)
				b.ReportAllocs()
				for b.Loop() {
					exchange()
				}
			})
		}
	}
}

// What a request costs that goes on to an internal endpoint, beside one to an endpoint
// that serves it.
func BenchmarkForwardInternal(b *testing.B) {
	for name, text := range map[string]string{"served": rulesOf(1), "forwarded": sends("http://app.internal")} {
		b.Run(name, func(b *testing.B) {
			exchange := exchangesWith(b, smallGet, compiled(b, postern.HTTP, text), relayAlone)
			exchange()
			b.ReportAllocs()
			for b.Loop() {
				exchange()
			}
		})
	}
}
