package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
)

// meddling are policies that name a few headers, by the host of their endpoint: one that
// the relay serves, and one for which bodies go through a replacement that finds nothing.
var meddling = map[string]string{
	"heads": `
on_http_request: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}, {type: remove-headers, config: {headers: [x-gone]}}]}]
on_http_response: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}, {type: remove-headers, config: {headers: [x-gone]}}]}]`,
	"bodies": `
on_http_request: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}, {type: remove-headers, config: {headers: [x-gone]}},
  {type: request-body-find-replace, config: {replacements: [{from: "never in a body of letters, for it has digits: 0123456789", to: ""}]}}]}]
on_http_response: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}, {type: remove-headers, config: {headers: [x-gone]}},
  {type: response-body-find-replace, config: {replacements: [{from: "never in a body of letters, for it has digits: 0123456789", to: ""}]}}]}]`,
}

// drawnName draws a header that no policy names, and nobody on the way needs: in any case.
func drawnName(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{
		"x-a", "X-A", "x-B", "X-Long-Name-Of-A-Header", "x_under", "X.Dot", "Accept", "accept-language", "Cookie", "Authorization",
		"Referer", "IF-NONE-MATCH", "Content-Language", "Via", "Dnt", "X-Gone", "x-gone",
	}).Draw(t, label)
}

// drawnValue draws what a header may say: tabs, blanks and bytes beyond ASCII within.
func drawnValue(t *rapid.T, label string) string {
	return strings.Trim(string(rapid.SliceOfN(rapid.OneOf(rapid.ByteRange(' ', '~'), rapid.SampledFrom([]byte{'\t', ' ', 0x80, 0xff, ',', '"'})), 0, 24).Draw(t, label)), " \t")
}

// drawnTarget draws a path and a query that are valid, however odd.
func drawnTarget(t *rapid.T) string {
	return "/" + rapid.StringMatching(`([a-z~@!$&'()*+,;=:-]|%[0-9A-F]0){0,9}(\?([a-z/?=&+;]|%2[0-9A-F]){0,12})?`).Draw(t, "target")
}

// drawnBody draws bytes of any kind; from them the policies' text cannot be made.
func drawnBody(t *rapid.T, label string) string {
	return string(rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b < '0' || b > '9' }), 0, 3000).Draw(t, label))
}

// chunked writes a body in chunks of drawn sizes.
func chunked(t *rapid.T, text, trailers string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := rapid.IntRange(1, len(text)).Draw(t, "chunk")
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, rapid.SampledFrom([]string{"", ";a=b", ";c"}).Draw(t, "extension"), text[:n])
		text = text[n:]
	}
	return b.String() + "0\r\n" + trailers + "\r\n"
}

// drawn writes a message of drawn lines: whole is what is sent.
func drawn(t *rapid.T, first, host string, bodies bool) (m rawMessage, whole string) {
	m.first = first
	text := first + "\r\n"
	if host != "" {
		text += "Host: " + host + "\r\n"
	}
	for range rapid.IntRange(0, 8).Draw(t, "lines") {
		blank := rapid.SampledFrom([]string{" ", "", "  ", "\t"}).Draw(t, "blank")
		line := drawnName(t, "name") + ":" + blank + drawnValue(t, "value")
		m.lines = append(m.lines, line)
		text += line + "\r\n"
	}
	if !bodies {
		return m, text + "\r\n"
	}
	m.body = drawnBody(t, "body")
	switch rapid.SampledFrom([]string{"length", "chunks", "trailers"}).Draw(t, "framing") {
	case "chunks":
		return m, text + "Transfer-Encoding: chunked\r\n\r\n" + chunked(t, m.body, "")
	case "trailers":
		m.trailer = http.Header{"X-Last": {drawnValue(t, "last")}, "X-Sum": {"1"}}
		return m, text + "Transfer-Encoding: chunked\r\nTrailer: X-Last, X-Sum\r\n\r\n" +
			chunked(t, m.body, "X-Last: "+m.trailer.Get("X-Last")+"\r\nX-Sum: 1\r\n")
	}
	return m, text + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(m.body)) + m.body
}

// same compares what was sent with what came.
func same(t *rapid.T, what string, sent, came rawMessage, settled bool) {
	if diff := cmp.Diff(sent.theirs(settled), came.theirs(settled)); diff != "" {
		t.Fatalf("%s: the lines (-sent +came):\n%s", what, diff)
	}
	if !came.says("x-policy", "added") || !came.says("x-gone") {
		t.Fatalf("%s: the policy was not held to: %q", what, came.lines)
	}
	if sent.body != came.body {
		t.Fatalf("%s: %d bytes came as %d: %q, %q", what, len(sent.body), len(came.body), sent.body, came.body)
	}
	if diff := cmp.Diff(sent.trailer, came.trailer); diff != "" && len(sent.trailer)+len(came.trailer) > 0 {
		t.Fatalf("%s: the trailers (-sent +came):\n%s", what, diff)
	}
}

// Whatever a policy does not name goes on as it came, in both directions: over the relay
// every line byte for byte and in its place, otherwise every value, and every byte of
// bodies, however they are framed, and of trailers.
func TestPoliciesTouchNoByte(t *testing.T) {
	for host := range meddling {
		t.Run(host, func(t *testing.T) {
			bothPaths(t, func(t *testing.T, path func(*config)) {
				answers, came := make(chan string, 1), make(chan rawMessage, 1)
				s := start(t, path)
				service := rawUpstream(t, func(conn *net.TCPConn) {
					for reader := bufio.NewReader(conn); ; {
						m, err := readRaw(reader, "")
						if err != nil {
							return
						}
						came <- m
						_, _ = io.WriteString(conn, <-answers)
					}
				})
				m := newMember(service)
				m.policy = compiled(t, postern.HTTP, meddling[host])
				s.policedPool("http://"+host+"."+domain, m)
				relayed := host == "heads" && strings.HasSuffix(t.Name(), "/relay") && !*netHTTPOnly
				rapid.Check(t, func(t *rapid.T) {
					method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH"}).Draw(t, "method")
					sent, request := drawn(t, method+" "+drawnTarget(t)+" HTTP/1.1", host+"."+domain, method != "GET")
					told, answer := drawn(t, "HTTP/1.1 "+rapid.SampledFrom([]string{"200 OK", "201 Made", "404 No such thing", "500 Oh"}).Draw(t, "status"), "", true)
					conn := s.dial(s.http)
					defer conn.Close()
					if _, err := io.WriteString(conn, request); err != nil {
						t.Fatal(err)
					}
					answers <- answer
					got, err := readRaw(bufio.NewReader(conn), method)
					if err != nil {
						t.Fatal(err)
					}
					if strings.Contains(got.first, " 400 ") { // what could be read in two ways
						<-answers
						return
					}
					arrived := <-came
					// Trailers have no way through the relay: requests with them take the other.
					settled := !relayed || sent.trailer != nil
					if arrived.first != sent.first {
						t.Fatalf("%q came as %q", sent.first, arrived.first)
					}
					same(t, "request", sent, arrived, settled)
					if fields := strings.Fields(told.first); fields[1] != strings.Fields(got.first)[1] {
						t.Fatalf("%q came as %q", told.first, got.first)
					}
					same(t, "answer", told, got, settled)
				})
			})
		})
	}
}

// Nor is a byte changed, or a line of the heads, where the protocol was switched.
func TestPoliciesTouchNoUpgradedByte(t *testing.T) {
	for host := range meddling {
		t.Run(host, func(t *testing.T) {
			bothPaths(t, func(t *testing.T, path func(*config)) {
				answers, came := make(chan string, 1), make(chan rawMessage, 1)
				s := start(t, path)
				m := newMember(rawUpstream(t, func(conn *net.TCPConn) {
					reader := bufio.NewReader(conn)
					m, _, err := readHead(reader)
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, <-answers)
					text, _ := io.ReadAll(reader)
					m.body = string(text)
					came <- m
				}))
				m.policy = compiled(t, postern.HTTP, meddling[host])
				s.policedPool("http://"+host+"."+domain, m)
				rapid.Check(t, func(t *rapid.T) {
					const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
					sent, request := drawn(t, "GET "+drawnTarget(t)+" HTTP/1.1", host+"."+domain, false)
					told, answer := drawn(t, "HTTP/1.1 101 Switching Protocols", "", false)
					sent.body, told.body = drawnBody(t, "up"), drawnBody(t, "down")
					conn := s.dial(s.http)
					defer conn.Close()
					answers <- strings.TrimSuffix(answer, "\r\n") + upgrade + told.body
					ahead := rapid.IntRange(0, len(sent.body)).Draw(t, "ahead") // of the answer
					if _, err := io.WriteString(conn, strings.TrimSuffix(request, "\r\n")+upgrade+sent.body[:ahead]); err != nil {
						t.Fatal(err)
					}
					reader := bufio.NewReader(conn)
					got, _, err := readHead(reader)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.WriteString(conn, sent.body[ahead:]); err != nil {
						t.Fatal(err)
					}
					if err := conn.CloseWrite(); err != nil {
						t.Fatal(err)
					}
					text, err := io.ReadAll(reader)
					if err != nil {
						t.Fatal(err)
					}
					got.body = string(text)
					same(t, "request", sent, <-came, true)
					same(t, "answer", told, got, true)
				})
			})
		})
	}
}
