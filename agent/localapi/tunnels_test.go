package localapi_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

const noNumbers = `{"conns":{"count":0,"gauge":0,"rate1":0,"rate5":0,"rate15":0,"p50":0,"p90":0,"p95":0,"p99":0},"http":{"count":0,"rate1":0,"rate5":0,"rate15":0,"p50":0,"p90":0,"p95":0,"p99":0}}`

func tunnelJSON(label, uri, url, proto, addr string, made int) string {
	return fmt.Sprintf(`{"name":%q,"ID":"%032x","uri":%q,"public_url":%q,"proto":%q,"config":{"addr":%q,"inspect":true},"metrics":%s}`,
		label, made, uri, url, proto, addr, noNumbers)
}

// S1-25, S3-5: start, list, show and stop, as wrappers do it.
func TestTunnels(t *testing.T) {
	a := newAPI(t, nil)
	a.want("GET", "/api", "", 200, `{"tunnels_uri":"/api/tunnels","http_requests_uri":"/api/requests/http"}`)
	a.want("GET", "/api/", "", 200, `{"tunnels_uri":"/api/tunnels","http_requests_uri":"/api/requests/http"}`)
	a.want("GET", "/api/tunnels", "", 200, `{"tunnels":[],"uri":"/api/tunnels"}`)

	secure := tunnelJSON("my web (1)", "/api/tunnels/my%20web%20%281%29", "https://h1.example.com", "https", "http://localhost:8080", 1)
	twin := tunnelJSON("my web (1) (http)", "/api/tunnels/my%20web%20%281%29%20%28http%29", "http://h1.example.com", "http", "http://localhost:8080", 1)
	a.want("POST", "/api/tunnels", `{"name":"my web (1)","proto":"http","addr":8080,"port":1,"configPath":null}`, 201, secure)
	a.want("GET", "/api/tunnels", "", 200, `{"tunnels":[`+secure+`,`+twin+`],"uri":"/api/tunnels"}`)
	for _, path := range []string{"my%20web%20%281%29", "my%20web%20(1)", "my+web+%281%29"} {
		a.want("GET", "/api/tunnels/"+path, "", 200, secure)
	}
	a.want("DELETE", "/api/tunnels/my+web+(1)", "{}", 204, "")
	a.want("GET", "/api/tunnels", "", 200, `{"tunnels":[`+twin+`],"uri":"/api/tunnels"}`)
	a.want("DELETE", "/api/tunnels/my%20web%20%281%29%20%28http%29", "", 204, "")
	a.want("GET", "/api/tunnels/my%20web", "", 404, `{"error_code":100,"status_code":404,"msg":"tunnel not found","details":{"name":"my web"}}`)

	// A name with a plus is found before one with a blank.
	a.want("POST", "/api/tunnels", `{"name":"a b","proto":"tcp","addr":"22"}`, 201, tunnelJSON("a b", "/api/tunnels/a%20b", "tcp://h2.example.com", "tcp", "localhost:22", 2))
	a.want("POST", "/api/tunnels", `{"name":"a+b","proto":"tls","addr":"443"}`, 201, tunnelJSON("a+b", "/api/tunnels/a+b", "tls://h3.example.com", "tls", "tls://localhost:443", 3))
	a.want("DELETE", "/api/tunnels/a+b", "", 204, "")
	a.want("DELETE", "/api/tunnels/a+b", "", 204, "")
	a.want("GET", "/api/tunnels", "", 200, `{"tunnels":[],"uri":"/api/tunnels"}`)
	a.want("POST", "/api/tunnels", `{"name":"x/../y%","proto":"http","addr":"80","bind_tls":true,"inspect":false}`, 201,
		strings.Replace(tunnelJSON("x/../y%", "/api/tunnels/x%2F..%2Fy%25", "https://h4.example.com", "https", "http://localhost:80", 4), `"inspect":true`, `"inspect":false`, 1))
	a.want("DELETE", "/api/tunnels/x%2F..%2Fy%25", "", 204, "")
}

// Every error in the words and numbers that clients know. Shape comes before readiness.
func TestTunnelErrors(t *testing.T) {
	a := newAPI(t, nil)
	a.agent.refused["taken.example.com"] = postern.Errorf(postern.CodeAlreadyOnline, "The endpoint is already online.")
	a.agent.refused["odd.example.com"] = postern.Errorf(postern.CodeOptionUnsupported, "oauth is not known here")
	a.want("POST", "/api/tunnels", `{"name":"there","proto":"http","addr":1,"bind_tls":true}`, 201,
		tunnelJSON("there", "/api/tunnels/there", "https://h1.example.com", "https", "http://localhost:1", 1))
	invalid := func(err string) string {
		return fmt.Sprintf(`{"error_code":102,"status_code":400,"msg":"invalid tunnel configuration","details":{"err":%q}}`, err)
	}
	refused := func(err string) string {
		return fmt.Sprintf(`{"error_code":103,"status_code":502,"msg":"failed to start tunnel","details":{"err":%q}}`, err)
	}
	syntax := func(err string) string {
		return fmt.Sprintf(`{"status_code":400,"msg":"failed to deserialize request parameter","details":{"err":%q}}`, err)
	}
	shapes := map[string]string{
		`{"name":"a","proto":"foo","addr":1}`:                                 invalid("Invalid protocol name 'foo'"),
		`{"name":"a","proto":"http"}`:                                         invalid("Tunnel 'a' must specify 'addr' to tunnel to"),
		`{"proto":"http","addr":1}`:                                           invalid("Tunnel declaration must contain a 'name'"),
		`{"name":"a","proto":"http","addr":1,"hostname":"x","subdomain":"y"}`: invalid("Tunnel 'a' must not specify both hostname and subdomain."),
		`{"name":"a","proto":"http","addr":1,"bind_tls":"zzz"}`:               invalid("HTTP tunnel 'a' specifies invalid 'bind_tls': zzz; it is one of true, false, both"),
		`{"name":"a","proto":"tls","addr":1,"crt":"x"}`:                       invalid("TLS tunnel 'a' must supply both 'crt' and 'key' or neither"),
		`{"name":"there","proto":"http","addr":1}`:                            invalid(`tunnel "there" already exists`),
		"{\"name\":\"a\",\n\"addr\":1,\n}":                                    syntax("line 2, column 9: a comma without anything behind it; remove it"),
		`{"name":"a"`:                                                         syntax(`line 1, column 12: the text ends too early; a closing } or " is missing`),
	}
	for _, offline := range []bool{false, true} {
		a.agent.setOffline(offline)
		for body, want := range shapes {
			a.want("POST", "/api/tunnels", body, 400, want)
		}
	}
	const ready = `{"error_code":104,"status_code":503,"msg":"ngrok is not yet ready to start tunnels","details":{"err":"a successful ngrok tunnel session has not yet been established"}}`
	a.want("POST", "/api/tunnels", `{"name":"a","proto":"http","addr":1}`, 503, ready)
	a.want("POST", "/api/endpoints", `{"name":"a","upstream":{"url":"1"}}`, 503, ready)
	a.agent.setOffline(false)
	const again = `{"name":"a","proto":"http","addr":1,"bind_tls":true,"hostname":"%s"}`
	a.want("POST", "/api/tunnels", fmt.Sprintf(again, "taken.example.com"), 502, refused("The endpoint is already online.\r\n\r\nERR_NGROK_334\r\n"))
	a.want("POST", "/api/tunnels", fmt.Sprintf(again, "odd.example.com"), 502, refused("oauth is not known here (ERR_POSTERN_202)\r\n\r\nERR_NGROK_301\r\n"))
	if w := a.ask("POST", "/api/tunnels", fmt.Sprintf(again, "free.example.com")); w.Code != 201 {
		t.Errorf("the failed ones have reserved the name: %d %s", w.Code, w.Body)
	}
	if w := a.ask("POST", "/api/tunnels", `{"name":"b","proto":"tcp","addr":"localhost"}`); w.Code != 400 || !strings.Contains(w.Body.String(), "invalid or malformed address: localhost") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Whatever is asked in the wrong way is answered as ngrok's agent does.
func TestGenericErrors(t *testing.T) {
	a := newAPI(t, nil)
	a.want("GET", "/x", "", 404, `{"status_code":404,"msg":"Not Found","details":{"path":"/x"}}`)
	a.want("GET", "/api/nothing", "", 404, `{"status_code":404,"msg":"Not Found","details":{"path":"/api/nothing"}}`)
	a.want("PUT", "/api/tunnels", `{}`, 405, `{"status_code":405,"msg":"Method Not Allowed","details":{"allowed":"GET, POST","method":"PUT"}}`)
	a.want("POST", "/api/status", `{}`, 405, `{"status_code":405,"msg":"Method Not Allowed","details":{"allowed":"GET","method":"POST"}}`)
	if w := a.ask("PUT", "/api/tunnels", "{}"); w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %s", w.Header().Get("Allow"))
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain", "application/jsonp", "\x00"} {
		w := a.ask("POST", "/api/tunnels", `{"name":"a","proto":"http","addr":1}`, "Content-Type: "+contentType)
		if w.Code != 415 || !strings.Contains(w.Body.String(), `"msg":"unsupported request Content-Type","details":{"available":"application/json","content-type":`) {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
	}
	if w := a.ask("POST", "/api/tunnels", `{"name":"`+strings.Repeat("a", 2<<20)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("2 MB: %d", w.Code)
	}
}

func TestEndpoints(t *testing.T) {
	a := newAPI(t, nil)
	e := func(url, upstream string) string {
		return fmt.Sprintf(`{"name":"web","uri":"/api/endpoints/web","url":%q,"upstream":{"url":%q,"protocol":"http1"},"inspect":true,"pooling_enabled":false,"bindings":["public"],"metrics":%s}`, url, upstream, noNumbers)
	}
	a.want("GET", "/api/endpoints", "", 200, `{"endpoints":[],"uri":"/api/endpoints"}`)
	a.want("POST", "/api/endpoints", `{"name":"web","url":"https://a.example.com","upstream":{"url":"http://localhost:8000","protocol":"http1"}}`, 201, e("https://a.example.com", "http://localhost:8000"))
	a.want("GET", "/api/endpoints", "", 200, `{"endpoints":[`+e("https://a.example.com", "http://localhost:8000")+`],"uri":"/api/endpoints"}`)
	a.want("GET", "/api/endpoints/web", "", 200, e("https://a.example.com", "http://localhost:8000"))
	a.want("PUT", "/api/endpoints/web", `{"url":"https://b.example.com","upstream":{"url":"9000","protocol":"http1"}}`, 200, e("https://b.example.com", "http://localhost:9000"))

	a.agent.refused["c.example.com"] = &postern.Error{Code: postern.CodeNameReserved}
	if w := a.ask("PUT", "/api/endpoints/web", `{"url":"https://c.example.com","upstream":{"url":"9000"}}`); w.Code != 502 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.want("GET", "/api/endpoints/web", "", 200, e("https://b.example.com", "http://localhost:9000")) // the old one is back
	if w := a.ask("PUT", "/api/endpoints/web", `{"name":"other","upstream":{"url":"9000"}}`); w.Code != 400 {
		t.Errorf("another name: %d %s", w.Code, w.Body)
	}
	a.want("DELETE", "/api/endpoints/web", "", 204, "")
	a.want("DELETE", "/api/endpoints/web", "", 404, `{"error_code":100,"status_code":404,"msg":"tunnel not found","details":{"name":"web"}}`)
	a.want("GET", "/api/endpoints/web", "", 404, `{"error_code":100,"status_code":404,"msg":"tunnel not found","details":{"name":"web"}}`)
	if w := a.ask("PUT", "/api/endpoints/new", `{"upstream":{"url":"9000"}}`); w.Code != 201 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, body := range []string{`{`, `[]`, `null`, `1`} {
		for _, try := range [][2]string{{"POST", "/api/endpoints"}, {"PUT", "/api/endpoints/x"}} {
			if w := a.ask(try[0], try[1], body); w.Code != 400 {
				t.Errorf("%s %s: %d %s", try[0], body, w.Code, w.Body)
			}
		}
	}
}

// Browsers have always been shown XML, and programs that do not care JSON.
func TestXML(t *testing.T) {
	a := newAPI(t, nil)
	a.ask("POST", "/api/tunnels", `{"name":"web","proto":"http","addr":80,"bind_tls":true}`)
	a.captured("web", "/")
	for accept, want := range map[string]string{
		"application/xml": "application/xml",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "application/xml",
		"application/json":                   "application/json",
		"*/*":                                "application/json",
		"application/json, application/xml":  "application/json",
		"application/xml;q=0.1, */*":         "application/json",
		"application/xml;q=zzz, ;;;, text/x": "application/xml",
	} {
		if got := a.ask("GET", "/api/tunnels", "", "Accept: "+accept).Header().Get("Content-Type"); got != want {
			t.Errorf("Accept: %s gives %s", accept, got)
		}
	}
	for path, want := range map[string]string{
		"/api/tunnels":       "<tunnelListResource><Tunnels><Name>web</Name><ID>00000000000000000000000000000001</ID><URI>/api/tunnels/web</URI><PublicURL>https://h1.example.com</PublicURL><Proto>https</Proto><Config><Addr>http://localhost:80</Addr>",
		"/api/requests/http": "<requestListResource>",
		"/api/status":        "<statusResource><Status>online</Status>",
		"/api/endpoints":     "<endpointListResource>",
		"/api":               "<apiResource>",
		"/api/tunnels/a%3Cb": `<errorResource><ErrorCode>100</ErrorCode><StatusCode>404</StatusCode><Msg>tunnel not found</Msg><Details><Detail name="name">a&lt;b</Detail></Details></errorResource>`,
		"/api/nosuch":        `<errorResource><StatusCode>404</StatusCode><Msg>Not Found</Msg>`,
	} {
		w := a.ask("GET", path, "", "Accept: application/xml")
		if !strings.Contains(w.Body.String(), want) || xml.Unmarshal(w.Body.Bytes(), new(struct{ XMLName xml.Name })) != nil {
			t.Errorf("%s: %s", path, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/xml" {
			t.Errorf("%s is %s", path, got)
		}
	}
}
