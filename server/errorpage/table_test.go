package errorpage_test

import (
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
)

// The nearest domain that holds a host comes first, and those of other accounts not at all.
func TestAbove(t *testing.T) {
	var current errorpage.Current
	var domains []errorpage.Domain
	for _, name := range []postern.Hostname{"example.com", "*.example.com", "app.example.com", "*.app.example.com", "other.org"} {
		domains = append(domains, errorpage.Domain{Name: name, Account: "acc_1", Pages: compiled(t, "* 404")})
	}
	names := func(host postern.Hostname, account postern.AccountID) (all string) {
		for set := range current.Above(host, account) {
			for _, d := range domains {
				if d.Pages == set {
					all += string(d.Name) + " "
				}
			}
		}
		return all
	}
	if got := names("app.example.com", ""); got != "" {
		t.Errorf("an empty table has %s", got)
	}
	current.Set(errorpage.NewTable(domains))
	for host, want := range map[postern.Hostname]string{
		"app.example.com":   "app.example.com *.app.example.com *.example.com example.com ",
		"x.app.example.com": "*.app.example.com app.example.com *.example.com example.com ",
		"example.com":       "example.com *.example.com ",
		"a.b.other.org":     "other.org ",
		"another.org":       "",
		"com":               "",
		"":                  "",
	} {
		if got := names(host, "acc_1"); got != want {
			t.Errorf("%s has %q, want %q", host, got, want)
		}
		if got := names(host, ""); got != want {
			t.Errorf("%s without an endpoint has %q, want %q", host, got, want)
		}
		if got := names(host, "acc_2"); got != "" {
			t.Errorf("%s of another account has %q", host, got)
		}
	}
	if current.Switched() || (*errorpage.Current)(nil).Switched() {
		t.Error("under maintenance, though nobody said so")
	}
	on, err := errorpage.Compile(postern.ErrorPages{Maintenance: postern.Maintenance{Enabled: true}})
	must(t, err)
	current.Set(errorpage.NewTable(append(domains, errorpage.Domain{Name: "b.org", Pages: on})))
	if !current.Switched() {
		t.Error("the switch is not noticed")
	}
}
