package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api/openapi"
)

//go:embed front.html
var frontHTML string

//go:embed front.css
var frontCSS string

// front is what the API says of itself to whoever has no key: a page for browsers, and
// the OpenAPI document.
type front struct {
	page, document []byte
	policy         string // Content-Security-Policy of the page
}

func newFront(c Config) (front, error) {
	document, err := json.Marshal(openapi.Document(resource.Table(), c.URL, c.Version))
	if err != nil {
		return front{}, err
	}
	parsed, err := template.New("front").Parse(frontHTML)
	if err != nil {
		return front{}, err
	}
	var page bytes.Buffer
	err = parsed.Execute(&page, struct {
		URL       string
		CSS       template.CSS
		Resources []resource.Definition
	}{c.URL, template.CSS(frontCSS), resource.Table()}) //nolint:gosec // our own file
	sum := sha256.Sum256([]byte(frontCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return front{page: page.Bytes(), document: document, policy: policy}, err
}

// routes makes the routes that need no key.
func (f front) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(f.document)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(f.document)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", f.policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(f.page)
	})
}
