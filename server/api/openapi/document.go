package openapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/postern-dev/postern/resource"
)

// object is a JSON object.
type object = map[string]any

// Document is the description of an API at url that has these resources. It can be
// written as JSON.
func Document(table []resource.Definition, url, version string) map[string]any {
	s := newSchemas()
	paths := object{}
	tags := make([]any, 0, len(table))
	for _, d := range table {
		tags = append(tags, object{"name": d.Name, "description": d.Doc})
		for path, item := range pathsOf(s, d) {
			paths[path] = item
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Postern", "version": version,
			"description": "The control plane of a Postern server. Clients of ngrok's API work with it unmodified.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{object{"url": url}},
		"security": []any{object{"apiKey": []any{}}},
		"tags":     tags,
		"paths":    paths,
		"components": object{
			"securitySchemes": object{"apiKey": object{"type": "http", "scheme": "bearer", "description": "An API key."}},
			"parameters":      parameters(),
			"schemas":         s.withError(),
		},
	}
}

// pathsOf are the paths of one resource.
func pathsOf(s *schemas, d resource.Definition) map[string]object {
	paths := make(map[string]object)
	add := func(path, method string, operation object) {
		item := paths[path]
		if item == nil {
			item = object{"parameters": []any{object{"$ref": "#/components/parameters/Version"}}}
			for _, name := range placeholders(path) {
				item["parameters"] = append(item["parameters"].([]any), //nolint:forcetypeassert // made above
					object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
			}
			paths[path] = item
		}
		operation["tags"] = []any{d.Name}
		item[strings.ToLower(method)] = operation
	}
	one := d.Path() + "/{id}"
	if d.Operations.Has(resource.Create) {
		add(d.Path(), http.MethodPost, operation("create_"+d.Name, "Make: "+d.Singular, s.body(d.Creation), http.StatusCreated, s.of(d.Object)))
	}
	if d.Operations.Has(resource.List) {
		list := operation("list_"+d.Name, "List: "+d.Singular, nil, http.StatusOK, s.list(d))
		list["parameters"] = []any{
			object{"$ref": "#/components/parameters/BeforeID"}, object{"$ref": "#/components/parameters/Limit"}, object{"$ref": "#/components/parameters/Filter"},
		}
		add(d.Path(), http.MethodGet, list)
	}
	if d.Operations.Has(resource.Get) {
		add(one, http.MethodGet, operation("get_"+d.Name, "Get: "+d.Singular, nil, http.StatusOK, s.of(d.Object)))
	}
	if d.Operations.Has(resource.Update) {
		add(one, http.MethodPatch, operation("update_"+d.Name, "Change: "+d.Singular, s.body(d.Change), http.StatusOK, s.of(d.Object)))
	}
	if d.Operations.Has(resource.Delete) {
		add(one, http.MethodDelete, operation("delete_"+d.Name, "Delete: "+d.Singular, nil, http.StatusNoContent, nil))
	}
	for _, a := range d.Actions {
		add(one+"/"+a.Name, http.MethodPost, operation(a.Name+"_"+d.Name, a.Doc, object{"type": "object"}, http.StatusNoContent, nil))
	}
	for _, r := range d.Routes {
		name := strings.ToLower(r.Method) + "_" + d.Name + "_" + strings.Trim(strings.NewReplacer("/", "_", "{", "", "}", "").Replace(r.Path), "_")
		add(d.Path()+r.Path, r.Method, operation(name, r.Doc, s.body(r.Body), r.Status, s.answer(r)))
	}
	return paths
}

// placeholders are the names in braces of a path.
func placeholders(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return names
}

// operation describes one; body and answer are schemas, nil for none.
func operation(id, summary string, body object, status int, answer object) object {
	success := object{"description": http.StatusText(status), "headers": object{"Ngrok-Operation-Id": object{"schema": object{"type": "string"}}}}
	if answer != nil {
		success["content"] = object{"application/json": object{"schema": answer}}
	}
	o := object{
		"operationId": strings.ReplaceAll(id, "/", "_"), "summary": summary,
		"responses": object{
			strconv.Itoa(status): success,
			"default":            object{"description": "What went wrong.", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}}},
		},
	}
	if body != nil {
		o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": body}}}
	}
	return o
}

func parameters() object {
	text := object{"type": "string"}
	return object{
		"Version":  object{"name": "Ngrok-Version", "in": "header", "required": true, "schema": object{"type": "string", "enum": []any{"2"}}, "description": "The API's version."},
		"BeforeID": object{"name": "before_id", "in": "query", "schema": text, "description": "Only what was made before the one with this id."},
		"Limit":    object{"name": "limit", "in": "query", "schema": object{"type": "integer", "minimum": 1, "maximum": 100}, "description": "How many at most, 100 by default."},
		"Filter":   object{"name": "filter", "in": "query", "schema": text, "description": "A CEL expression over obj."},
	}
}
