package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api"
)

// document is an OpenAPI document, read as a stranger would.
type document struct {
	root     object
	mux      *http.ServeMux // paths by method and pattern
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// documentOf asks the API for its document.
func documentOf(t *testing.T, handler http.Handler) *document {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	read, err := jsonschema.UnmarshalJSON(bytes.NewReader(recorder.Body.Bytes()))
	if err != nil {
		t.Fatalf("the OpenAPI document is not JSON: %v", err)
	}
	root, _ := read.(object)
	d := &document{root: root, mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := d.compiler.AddResource("openapi.json", root); err != nil {
		t.Fatal(err)
	}
	for path, item := range at(root, "paths") {
		operations, _ := item.(object)
		for method := range operations {
			if method != "parameters" {
				d.mux.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
			}
		}
	}
	return d
}

// at walks down objects.
func at(o object, keys ...string) object {
	for _, key := range keys {
		o, _ = o[key].(object)
	}
	return o
}

// check holds an answer against the document: path, status and body.
func (d *document) check(t *testing.T, r *http.Request, got reply) {
	t.Helper()
	_, pattern := d.mux.Handler(r)
	if pattern == "" {
		if got.StatusCode < http.StatusBadRequest && r.URL.Path != "/openapi.json" && r.URL.Path != "/" && r.Method != http.MethodOptions {
			t.Errorf("%s %s was answered by %d, and is not in the OpenAPI document", r.Method, r.URL.Path, got.StatusCode)
		}
		return
	}
	method, path, _ := strings.Cut(pattern, " ")
	responses := at(d.root, "paths", path, strings.ToLower(method), "responses")
	key := strconv.Itoa(got.StatusCode)
	if responses[key] == nil {
		if key = "default"; got.StatusCode < http.StatusBadRequest {
			t.Errorf("%s: the status %d is not in the OpenAPI document", pattern, got.StatusCode)
			return
		}
	}
	if at(responses, key, "content") == nil {
		if got.text != "" {
			t.Errorf("%s: %d has a body, and should not: %s", pattern, got.StatusCode, got.text)
		}
		return
	}
	where := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%s/content/application~1json/schema",
		strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path), strings.ToLower(method), key)
	schema := d.schemas[where]
	if schema == nil {
		var err error
		if schema, err = d.compiler.Compile(where); err != nil {
			t.Fatalf("%s: the schema of the answer cannot be used: %v", pattern, err)
		}
		d.schemas[where] = schema
	}
	if err := schema.Validate(any(got.body)); err != nil {
		t.Errorf("%s: the answer is not as the OpenAPI document says: %v\n%s", pattern, err, got.text)
	}
}

// What the document describes is there, and what is there is described.
func TestDocumentAndRoutesAgree(t *testing.T) {
	w := newWorld(t)
	var described []string
	for path, item := range at(w.document.root, "paths") {
		operations, _ := item.(object)
		for method := range operations {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	handler, _ := w.handler.(*api.API)
	routes := slices.Clone(handler.Patterns())
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		for _, one := range described {
			if !slices.Contains(routes, one) {
				t.Errorf("%s is described, and nothing answers there", one)
			}
		}
		for _, one := range routes {
			if !slices.Contains(described, one) {
				t.Errorf("%s is there, and not described: add it to the definition's Routes", one)
			}
		}
	}
}

// Every field has a sentence for its reader.
func TestEverythingIsExplained(t *testing.T) {
	w := newWorld(t)
	for name, schema := range at(w.document.root, "components", "schemas") {
		if name == "Error" {
			continue
		}
		one, _ := schema.(object)
		for field, property := range at(one, "properties") {
			described, _ := property.(object)
			if text, _ := described["description"].(string); text == "" {
				t.Errorf("%s.%s has no doc tag", name, field)
			}
		}
	}
	for _, d := range resource.Table() {
		if d.Doc == "" || d.Singular == "" || len(d.Prefixes) == 0 && d.Operations != 0 { // what is not kept has no id
			t.Errorf("%s lacks a Doc, a Singular or a prefix", d.Name)
		}
	}
}

func TestFrontPage(t *testing.T) {
	w := newWorld(t)
	recorder := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	w.handler.ServeHTTP(recorder, r)
	page := recorder.Body.String()
	if recorder.Code != 200 || !strings.Contains(page, base+"/endpoints") || !strings.Contains(page, "/ip_policies") ||
		!strings.Contains(recorder.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v\n%s", recorder.Code, recorder.Header(), page)
	}
}
