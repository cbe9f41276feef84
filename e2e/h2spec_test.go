package e2e_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const h2specModule = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// h2spec's cases against the edge, with our agent and a real upstream behind it.
// It resolves the name itself, so it runs with a hosts file of its own.
func TestH2SpecAgainstTheEdge(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Repeat("h2spec ", 100))
	}))
	defer upstream.Close()
	s := startServer(t)
	s.agent("http", upstream.URL, "--url", "https://h2spec."+domain)

	dir := t.TempDir()
	install := exec.Command("go", "install", h2specModule)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("installing h2spec: %v\n%s", err, output)
	}
	hosts, report := filepath.Join(dir, "hosts"), filepath.Join(dir, "report.xml")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost h2spec."+domain+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	argv := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		argv = append(argv, "--map-root-user")
	}
	argv = append(argv, "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts,
		filepath.Join(dir, "h2spec"), "-t", "-k", "-h", "h2spec."+domain, "-p", fmt.Sprint(s.https), "-j", report)
	output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if _, missing := os.Stat(report); missing != nil {
		t.Fatalf("h2spec: %v\n%s", err, output)
	}
	ran, failed := readJUnit(t, report)
	for _, name := range failed {
		if reason, argued := h2specDeviations[name]; argued {
			t.Logf("deviation that docs/http2.md argues: %s: %s", name, reason)
			continue
		}
		t.Errorf("h2spec: %s", name)
	}
	if ran < 140 {
		t.Errorf("only %d cases ran; h2spec has 145", ran)
	}
	if t.Failed() {
		t.Logf("%s", tail(string(output), 6000))
	}
}

// h2specDeviations are the cases in which the edge does something else than
// h2spec wants, each with its reason (docs/http2.md).
var h2specDeviations = map[string]string{
	"http2/6.5.3: Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                          "a setting given twice closes the connection",
	"http2/8.1.2.2: Sends a HEADERS frame that contains the connection-specific header field":                     "answered with status 400 instead of a reset",
	`http2/8.1.2.2: Sends a HEADERS frame that contains the TE header field with any value other than "trailers"`: "answered with status 400 instead of a reset",
}

func readJUnit(t *testing.T, path string) (ran int, failed []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Package string    `xml:"package,attr"`
				Class   string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	for _, suite := range report.Suites {
		for _, c := range suite.Cases {
			if c.Skipped == nil {
				ran++
			}
			if c.Failure != nil || c.Error != nil {
				failed = append(failed, c.Package+": "+c.Class)
			}
		}
	}
	return ran, failed
}
