package expression_test

import (
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

// BenchmarkTrue evaluates typical expressions, the last two of which are counted.
func BenchmarkTrue(b *testing.B) {
	for name, text := range map[string]string{
		"method":  `req.method == "GET"`,
		"address": `inCidrRange(conn.client_ip, "192.0.2.0/24")`,
		"typical": `req.method == "GET" && req.url.path.startsWith("/api/") && !(conn.client_ip in ["203.0.113.1", "203.0.113.2"])`,
		"header":  `hasReqHeader("X-List") && req.headers["X-List"][0] == "a"`,
		"pattern": `req.url.path.matches("^/api/v[0-9]+/")`,
		"counted": `req.method.lower() == "get" && req.url.path.startsWith("/api/") && !(conn.client_ip in ["203.0.113.1", "203.0.113.2"])`,
		"loop":    `getReqHeader("User-Agent").exists(v, v.matches("(?i)curl"))`,
	} {
		x, problem := expression.Compile(expression.Request, text)
		if problem != nil {
			b.Fatal(problem)
		}
		s := scope()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := x.True(s); !ok {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	t, problem := expression.CompileTemplate(expression.Request, "https://${req.host}${req.url.path}?from=${conn.client_ip}")
	if problem != nil {
		b.Fatal(problem)
	}
	s := scope()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Text(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, problem := expression.Compile(expression.Request, `req.method == "GET" && req.url.path.startsWith("/api/")`); problem != nil {
			b.Fatal(problem)
		}
	}
}
