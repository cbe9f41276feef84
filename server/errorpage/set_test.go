package errorpage_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compiled is a set of pages, each of which says for what it is.
func compiled(t *testing.T, classes ...string) *errorpage.Set {
	t.Helper()
	var all postern.ErrorPages
	for _, class := range classes {
		all.Pages = append(all.Pages, postern.ErrorPage{Errors: strings.Split(class, " "), Text: class})
	}
	set, err := errorpage.Compile(all)
	must(t, err)
	return set
}

// The narrowest class that an error belongs to has its page.
func TestPageOfAnError(t *testing.T) {
	all := []string{"offline", "maintenance", "502", "504 401", "4xx", "5xx", "*"}
	for _, c := range []struct {
		classes []string
		code    postern.Code
		want    string
	}{
		{all, postern.CodeEndpointOffline, "offline"},
		{all, postern.CodeLinkLost, "offline"},
		{all, postern.CodeMaintenance, "maintenance"},
		{all, postern.CodeUpstreamUnreachable, "502"},
		{all, postern.CodeUpstreamTimeout, "504 401"},
		{all, postern.CodePasswordRequired, "504 401"},
		{all, postern.CodeVisitorAddressRefused, "4xx"},
		{all, postern.CodePolicyRateLimited, "4xx"},
		{all, postern.CodeInternal, "5xx"},
		{all[2:], postern.CodeEndpointOffline, "4xx"},
		{all[2:], postern.CodeMaintenance, "5xx"},
		{[]string{"404", "*"}, postern.CodeEndpointOffline, "404"},
		{[]string{"*"}, postern.CodeUpstreamTimeout, "*"},
		{[]string{"502"}, postern.CodeUpstreamTimeout, ""},
		{nil, postern.CodeInternal, ""},
	} {
		got := ""
		if page := compiled(t, c.classes...).Page(c.code); page != nil {
			got = strings.TrimSpace(string(page.Text.Render(&errorpage.Values{}, "")))
		}
		if got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.code, c.classes, got, c.want)
		}
	}
}

func TestRender(t *testing.T) {
	values := errorpage.Values{Code: "ERR_1", Status: "502", Title: `It's <b>"down"</b> & out`, RequestID: "req_1", Host: "a.example.com", Retry: "9"}
	for _, c := range []struct{ html, text, ending, want string }{
		{html: "<h1>{{status}} {{ title }}</h1>{{code}} {{request_id}} {{host}} {{retry_after}}", ending: "ERR_1",
			want: "<h1>502 It&#39;s &lt;b&gt;&#34;down&#34;&lt;/b&gt; &amp; out</h1>ERR_1 req_1 a.example.com 9"},
		{html: "plain { } }} text", ending: "ERR_2", want: "plain { } }} text\n<!-- ERR_2 -->\n"},
		{text: "{{title}}", ending: "ERR_2", want: "It's <b>\"down\"</b> & out\nERR_2\n"},
		{text: "{{host}}{{host}}", ending: "example", want: "a.example.coma.example.com"},
	} {
		set, err := errorpage.Compile(postern.ErrorPages{Pages: []postern.ErrorPage{{Errors: []string{"*"}, HTML: c.html, Text: c.text}}})
		must(t, err)
		page := set.Page(postern.CodeInternal)
		template := page.HTML
		if c.html == "" {
			template = page.Text
		}
		if got := string(template.Render(&values, c.ending)); got != c.want {
			t.Errorf("%+v gave %q", c, got)
		}
		if (page.HTML == nil) != (c.html == "") || (page.Text == nil) != (c.text == "") {
			t.Errorf("%+v has forms that were not given", c)
		}
	}
}

func TestRefusals(t *testing.T) {
	page := func(errors, html string) postern.ErrorPages {
		return postern.ErrorPages{Pages: []postern.ErrorPage{{Errors: strings.Fields(errors), HTML: html}}}
	}
	closed := func(m postern.Maintenance) postern.ErrorPages { return postern.ErrorPages{Maintenance: m} }
	for _, c := range []struct {
		of   postern.ErrorPages
		want string
	}{
		{page("", "x"), "error_pages[0].errors is missing"},
		{page("offline", ""), "neither html nor text"},
		{page("502 600", "x"), `error_pages[0].errors has "600"`},
		{page("399", "x"), `has "399"`},
		{page("+502", "x"), `has "+502"`},
		{page("0502", "x"), `has "0502"`},
		{page("3xx", "x"), `has "3xx"`},
		{page("5XX", "x"), `has "5XX"`},
		{page("502 502", "x"), "for which there is a page already"},
		{page("*", "{{nonsense}}"), "there is no placeholder {{nonsense}}"},
		{page("*", "{{}}"), "there is no placeholder {{}}"},
		{page("*", "abc {{code"), "begins with {{ at byte 4 and does not end"},
		{page("*", "\xff"), "not UTF-8"},
		{page("*", strings.Repeat("x", errorpage.MostBytes+1)), "more than 65536 bytes"},
		{postern.ErrorPages{Pages: slices.Repeat([]postern.ErrorPage{{Errors: []string{"*"}, Text: "x"}}, errorpage.MostPages+1)}, "there may be 32"},
		{closed(postern.Maintenance{RetryAfter: -1}), "maintenance.retry_after is -1"},
		{closed(postern.Maintenance{RetryAfter: errorpage.LongestRetry + 1}), "maintenance.retry_after"},
		{closed(postern.Maintenance{AllowCIDRs: []string{"everybody"}}), `maintenance.allow_cidrs has "everybody"`},
		{closed(postern.Maintenance{AllowCIDRs: []string{"fe80::1%eth0"}}), "maintenance.allow_cidrs"},
		{closed(postern.Maintenance{AllowCIDRs: []string{"::ffff:192.0.2.0/120"}}), "maintenance.allow_cidrs"},
		{closed(postern.Maintenance{AllowCIDRs: slices.Repeat([]string{"192.0.2.1"}, errorpage.MostNetworks+1)}), "there may be 100"},
	} {
		_, err := errorpage.Compile(c.of)
		if err == nil || !postern.HasCode(err, postern.CodeValueInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80v: %v, want %q", c.of, err, c.want)
		}
	}
}

func TestClosed(t *testing.T) {
	of := postern.Maintenance{Enabled: true, AllowCIDRs: []string{"192.0.2.0/24", "2001:db8::/32", "198.51.100.7"}}
	set, err := errorpage.Compile(postern.ErrorPages{Maintenance: of})
	must(t, err)
	for addr, passes := range map[string]bool{
		"192.0.2.9": true, "::ffff:192.0.2.9": true, "2001:db8::1": true, "198.51.100.7": true,
		"198.51.100.8": false, "192.0.3.1": false, "2001:db9::1": false,
	} {
		if retry, closed := set.Closed(netip.MustParseAddr(addr)); closed == passes || closed && retry != 5*time.Minute {
			t.Errorf("%s: closed %v, retry %v", addr, closed, retry)
		}
	}
	if _, closed := set.Closed(netip.Addr{}); !closed {
		t.Error("an address that is not known passes")
	}
	of.Enabled = false
	set, err = errorpage.Compile(postern.ErrorPages{Maintenance: of})
	must(t, err)
	if _, closed := set.Closed(netip.MustParseAddr("198.51.100.8")); closed || set.Switched() {
		t.Error("closed though the switch is off")
	}
	if set, err := errorpage.Compile(postern.ErrorPages{}); set != nil || err != nil || set.Page(postern.CodeInternal) != nil {
		t.Errorf("nothing is %v, %v", set, err)
	}
}

// Whatever an owner writes as a page: it is refused, or rendered with nothing lost, and no
// value gets into HTML as markup.
func FuzzPage(f *testing.F) {
	for _, text := range []string{"", "{{code}}", "<h1>{{ host }}</h1>", "{{", "}}{{title}}", "{{{{code}}}}"} {
		f.Add(text)
	}
	const value = `"><script>'&`
	values := errorpage.Values{Code: value, Status: value, Title: value, RequestID: value, Host: value, Retry: value}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := errorpage.Compile(postern.ErrorPages{Pages: []postern.ErrorPage{{Errors: []string{"*"}, HTML: text}}})
		if err != nil {
			return
		}
		got := string(set.Page(postern.CodeInternal).HTML.Render(&values, "END"))
		if strings.Count(got, "<script>") > strings.Count(text, "<script>") || !strings.Contains(got, "END") {
			t.Errorf("%q became %q", text, got)
		}
		if !strings.Contains(text, "{{") && !strings.HasPrefix(got, text) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
