package localapi

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

func (a *API) showOpenAPI(http.ResponseWriter, *call) (answer, error) {
	return answer{http.StatusOK, document(a.config.Version)}, nil
}

type object = map[string]any

// document describes the routes by OpenAPI 3.1.
func document(version string) object {
	paths := object{}
	for _, r := range routes() {
		path, _ := paths[r.path].(object)
		if path == nil {
			path = object{}
			paths[r.path] = path
		}
		path[strings.ToLower(r.method)] = r.operation()
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Postern agent API", "version": version,
			"description": "What runs here, and what came through it. Requests from elsewhere need the token.",
		},
		"paths": paths,
		"components": object{"securitySchemes": object{
			"token": object{"type": "http", "scheme": "bearer", "description": "for requests that are not made on the agent's machine"},
		}},
		"security": []object{{}, {"token": []string{}}},
	}
}

func (r *route) operation() object {
	answers := object{"401": object{"description": http.StatusText(http.StatusUnauthorized)}, "403": object{"description": http.StatusText(http.StatusForbidden)}}
	for status, body := range r.answers {
		described := object{"description": http.StatusText(status)}
		if content := content(body); content != nil {
			described["content"] = content
		}
		answers[strconv.Itoa(status)] = described
	}
	operation := object{"summary": r.summary, "responses": answers}
	var parameters []object
	if prefix, named := r.prefix(); named {
		name := strings.Trim(r.path[len(prefix):], "{}")
		parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, name := range r.query {
		parameters = append(parameters, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if r.request != nil {
		operation["requestBody"] = object{"required": true, "content": content(r.request)}
	}
	return operation
}

func content(body any) object {
	switch body.(type) {
	case nil:
		return nil
	case plain:
		return object{"text/plain": object{"schema": object{"type": "string"}}}
	}
	return object{jsonType: object{"schema": schema(reflect.TypeOf(body))}}
}

// schema describes a type as encoding/json writes it.
func schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"oneOf": []object{schema(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": schema(t.Elem())}
	case reflect.Struct:
		return structure(t)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "string"}
}

func structure(t reflect.Type) object {
	properties := object{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			properties[name] = schema(t.Field(i).Type)
		}
	}
	return object{"type": "object", "properties": properties}
}
