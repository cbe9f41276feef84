package expression_test

import (
	"context"
	"errors"
	"time"

	"github.com/postern-dev/postern/server/policy/expression"
)

type of = map[string]any

// object is an Object that notes what it is asked for.
type object struct {
	fields of
	asked  *[]string
}

func (o *object) Field(name string) any {
	if o.asked != nil {
		*o.asked = append(*o.asked, name)
	}
	return o.fields[name]
}

type textObject struct {
	*object
	plain string
}

func (t textObject) Text() string { return t.plain }

func fieldsOf(fields of) *object              { return &object{fields: fields} }
func text(plain string, fields of) textObject { return textObject{fieldsOf(fields), plain} }
func at(hour, minute, second int) time.Time {
	return time.Date(2026, 1, 2, hour, minute, second, 0, time.UTC)
}
func list(all ...of) (objects []expression.Object) { return append(objects, each(all)...) }

func each(all []of) (objects []expression.Object) {
	for _, fields := range all {
		objects = append(objects, fieldsOf(fields))
	}
	return objects
}

func request() *object {
	return fieldsOf(of{
		"method": "GET", "host": "shop.example.com", "version": "HTTP/1.1", "content_length": int64(12), "location": "/there",
		"headers":          map[string][]string{"User-Agent": {"curl/8"}, "X-List": {"a", "b"}, "X-Json": {`["first entry", 2]`}},
		"trailers":         map[string][]string{"X-End": {"1"}},
		"cookies":          map[string][]expression.Object{"session": list(of{"name": "session", "value": "s1", "secure": true}, of{"name": "session", "value": "s2"})},
		"content_type":     text("text/html", of{"raw": "text/html; charset=utf-8", "parameters": map[string]string{"charset": "utf-8"}}),
		"content_encoding": []string{"br", "gzip"},
		"user_agent":       text("curl/8", of{"name": "curl", "is_bot": true}),
		"url": text("https://shop.example.com:8443/api/v1/x?q=1&q=2&a=b", of{
			"path": "/api/v1/x", "raw_path": "/api/v1/x", "query": "q=1&q=2&a=b", "query_params": map[string][]string{"q": {"1", "2"}, "a": {"b"}},
			"port": 8443, "scheme": "https", "host": "shop.example.com",
		}),
		"ts": fieldsOf(of{"header_received": at(3, 4, 5)}),
	})
}

func connection() *object {
	return fieldsOf(of{
		"client_ip": text("192.0.2.7", of{
			"is_tor_node": true, "categories": []string{"com", "com.cloudflare"}, "geo": fieldsOf(of{"location": fieldsOf(of{"country_code": "DE"})}),
		}),
		"client_port": int64(5555), "server_ip": "198.51.100.1", "geo": fieldsOf(of{"country_code": "DE", "latitude": "52.5"}),
		"ts": fieldsOf(of{"start": at(3, 4, 0)}),
		"tls": fieldsOf(of{"sni": "shop.example.com", "client": fieldsOf(of{
			"subject":    text("CN=bob,C=DE", of{"common_name": "bob", "country": []string{"DE"}}),
			"extensions": list(of{"id": "2.5.29.15", "critical": true, "value": []byte{3}}),
		})}),
	})
}

func scope() *expression.Scope {
	return &expression.Scope{
		Conn:     connection(),
		Endpoint: fieldsOf(of{"id": "ep_1", "url": "https://shop.example.com", "host": "shop.example.com", "port": int64(443), "protocol": "https"}),
		Request:  request(),
		Response: fieldsOf(of{
			"status_code": int64(404), "headers": map[string][]string{"Content-Type": {"text/plain"}},
			"cookies": map[string][]expression.Object{"a": list(of{"name": "a", "value": "1", "max_age": time.Hour, "expires": at(0, 0, 0)})},
		}),
		Message: fieldsOf(of{"event": "add", "data": "hello", "id": "7"}),
		Vars:    of{"team": "blue", "n": int64(3), "yes": true, "list": []any{"a", int64(1)}, "object": fieldsOf(of{"x": "y"}), "nothing": nil},
		Actions: of{"ngrok": of{"rate_limit": of{"limited": true}}},
		Secret: func(_ context.Context, vault, name string) (string, error) {
			if vault != "v" {
				return "", errors.New("no such vault")
			}
			return "hunter2-" + name, nil
		},
		Now: func() time.Time { return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC) },
	}
}

// mustCompile is for expressions that are no part of what is tested.
func mustCompile(p expression.Phase, text string) *expression.Expression {
	x, problem := expression.CompileValue(p, text)
	if problem != nil {
		panic(text + ": " + problem.String())
	}
	return x
}
