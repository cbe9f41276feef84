package server

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// What the debug pages say of the command line has no password in it.
func TestCommandLineWithoutSecrets(t *testing.T) {
	const source, shown = "postgres://u:s3cret@db/postern", "postgres://u:xxxxx@db/postern"
	for given, want := range map[string]string{
		"postern server --database=" + source:            "postern server --database=" + shown,
		"postern server --database " + source + " --x":   "postern server --database " + shown + " --x",
		"postern server -database " + source:             "postern server -database " + shown,
		"postern server --database=nonsense:s3cret%zz":   "postern server --database=[secret]",
		"postern server --domain example.com database x": "postern server --domain example.com database x",
		"postern server --database":                      "postern server --database",
	} {
		if got := withoutSecrets(strings.Fields(given)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s is shown as %s", given, got)
		}
	}
	answer := httptest.NewRecorder()
	commandLine(answer, httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil))
	if answer.Code != http.StatusOK || answer.Body.Len() == 0 {
		t.Errorf("%d %q", answer.Code, answer.Body)
	}
}
