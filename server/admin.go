package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	adminTime = 30 * time.Second // a profile of 30 s has its own allowance
	// checkTime is how long the store has to answer a health check.
	checkTime = 2 * time.Second
)

// adminServer serves the operator: health, metrics and, to this machine alone,
// debug. Nothing of it is reachable through any other listener.
func (s *Server) adminServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	debug := http.NewServeMux()
	debug.HandleFunc("GET /debug/pprof/", pprof.Index)
	debug.HandleFunc("GET /debug/pprof/cmdline", commandLine)
	debug.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	debug.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	debug.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("/debug/", fromHere(debug))
	return &http.Server{Handler: knownHost(mux), ReadHeaderTimeout: adminTime, ReadTimeout: adminTime,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
}

// knownHost refuses requests whose Host is a name: a page on the web can make a
// browser send those here by rebinding its own name (CVE-2022-41924), but it cannot
// make it say an address or localhost.
func knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "the Host header must be an address or localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromHere lets in who is on this machine.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// health is the body of /healthz and /readyz.
type health struct {
	Status string `json:"status"` // ok, degraded; ready, not ready
	Store  string `json:"store"`  // ok, unavailable, takes no writes
}

// healthz says whether the process is well. A store that does not answer is named
// but is no reason to restart the process: traffic does not need it.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	h := health{Status: "ok", Store: s.checkStore(r.Context())}
	if h.Store != "ok" {
		h.Status = "degraded"
	}
	answerHealth(w, http.StatusOK, h)
}

// readyz says whether to send visitors here: from when the first route table is in
// force until the process is asked to stop.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() {
		answerHealth(w, http.StatusServiceUnavailable, health{Status: "not ready", Store: s.checkStore(r.Context())})
		return
	}
	answerHealth(w, http.StatusOK, health{Status: "ready", Store: s.checkStore(r.Context())})
}

func (s *Server) checkStore(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	if err := s.store.check(ctx); err != nil {
		s.log.WarnContext(ctx, "the store is not well", "error", err)
		if s.store.failed.Load() {
			return "takes no writes"
		}
		return "unavailable"
	}
	return "ok"
}

func answerHealth(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // who asked may be gone
}
