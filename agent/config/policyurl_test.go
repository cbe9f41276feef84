package config_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

func TestFetchPolicy(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/policy", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("on_http_request: []\n")) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/policy", http.StatusFound) })
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("#", 2<<20))) })
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	via := server.Client().Transport
	for path, want := range map[string]string{
		"/policy": "", "/moved": "",
		"/plain": "it leads to http://", "/round": "it leads to https://", "/empty": "it is empty",
		"/large": "larger than", "/nosuch": `"404 Not Found"`,
	} {
		text, err := config.FetchPolicy(t.Context(), via, server.URL+path)
		if want == "" {
			if err != nil || text != "on_http_request: []\n" {
				t.Errorf("%s: %q, %v", path, text, err)
			}
			continue
		}
		if !postern.HasCode(err, postern.CodeFileUnreadable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	for _, address := range []string{"http://example.com/p", "policy.yml", "https://", "https://u:secret@example.com/", "file:///etc/passwd"} {
		if _, err := config.FetchPolicy(t.Context(), via, address); !postern.HasCode(err, postern.CodeFlagInvalid) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
