package api

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/throttle"
)

// Config says what an API works with. Service, URL and Logger are required.
type Config struct {
	Service *service.Service

	// Live is what is online; nil: nothing is.
	Live Live

	// Gateways is what is live of private gateways; nil: nothing is.
	Gateways Gateways

	// Access says from which addresses an account's API may be used; nil: from all.
	Access *access.Current

	// Policy is what the policies of dry runs may use of the server.
	Policy policy.World

	// URL is where clients find the API, without a slash at its end.
	URL string

	// RequestsPerMinute is how many requests an account may send within a minute, 0 is
	// 1200; Concurrent how many of them are worked on at once, 0 is 32.
	RequestsPerMinute, Concurrent int

	// WrongKeys is how many wrong keys within a minute are heard from one address; nil:
	// 60.
	WrongKeys func() int

	// AllowedOrigins are those whose pages may use the API from a browser, such as
	// "https://console.example.com".
	AllowedOrigins []string

	Version string // of the server

	// Scanned is how many resources a request may look at for a filter about something
	// that the store cannot find them by; 0 is 20000.
	Scanned int

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger
}

const (
	defaultRequests   = 1200
	defaultConcurrent = 32
	defaultScanned    = 20_000
	defaultWrongKeys  = 60

	// bodyTime is how long a client may take to send its body.
	bodyTime = 10 * time.Second
)

// API is an http.Handler. It may be used concurrently.
type API struct {
	config   Config
	mux      *http.ServeMux
	rates    *rates
	throttle *throttle.Throttle
	turns    *turns

	patterns []string // of what handle was given
}

// New makes the API. It fails only where a resource cannot be described.
func New(c Config) (*API, error) {
	if c.RequestsPerMinute <= 0 {
		c.RequestsPerMinute = defaultRequests
	}
	if c.Concurrent <= 0 {
		c.Concurrent = defaultConcurrent
	}
	if c.Scanned <= 0 {
		c.Scanned = defaultScanned
	}
	if c.WrongKeys == nil {
		c.WrongKeys = func() int { return defaultWrongKeys }
	}
	if c.Live == nil {
		c.Live = nothing{}
	}
	if c.Gateways == nil {
		c.Gateways = idle{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &API{config: c, mux: http.NewServeMux(), rates: newRates(c.RequestsPerMinute, c.Concurrent, c.Now), throttle: throttle.New(c.Now), turns: newTurns()}
	front, err := newFront(c)
	if err != nil {
		return nil, postern.Errorf(postern.CodeInternal, "the API cannot be described").Because(err)
	}
	front.routes(a.mux)
	a.routes()
	return a, nil
}

// handler does the work of one route. What it returns is written as JSON with the
// status; nil for an answer without a body.
type handler func(*call) (status int, body any, err error)

// call is one request whose caller is known.
type call struct {
	context.Context //nolint:containedctx // lives as long as the request
	*http.Request

	api    *API
	caller service.Caller
	body   []byte // of POST, PATCH and PUT
}

// handle makes h answer a pattern of http.ServeMux, "POST /ip_policies".
func (a *API) handle(pattern string, h handler) {
	a.patterns = append(a.patterns, pattern)
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, h) })
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := newOperation(a.config.Now())
	header := w.Header()
	header.Set(operationHeader, operation)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	defer func() {
		if problem := recover(); problem != nil {
			a.config.Logger.ErrorContext(r.Context(), "an API request panicked",
				"panic", problem, "operation", operation, "stack", string(debug.Stack()))
			a.fail(w, r, &postern.Error{Code: postern.CodeInternal})
		}
	}()
	if a.crossOrigin(w, r) {
		return
	}
	// ServeMux would redirect paths that are not clean and answer 405; clients expect 404.
	if _, pattern := a.mux.Handler(r); pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		a.notRouted(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// serve lets the caller in and answers.
func (a *API) serve(w http.ResponseWriter, r *http.Request, h handler) {
	caller, err := a.authenticate(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.mayCome(r, caller); err != nil {
		a.fail(w, r, err)
		return
	}
	leave, retry, err := a.rates.enter(caller.Account)
	if err != nil {
		w.Header().Set("Retry-After", retry)
		a.fail(w, r, err)
		return
	}
	defer leave()
	c := &call{Context: r.Context(), Request: r, api: a, caller: caller}
	if err := c.prepare(w); err != nil {
		a.fail(w, r, err)
		return
	}
	status, body, err := h(c)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.write(w, r, status, body)
}

func newOperation(now time.Time) string {
	id, err := ksuid.NewRandomWithTime(now)
	if err != nil {
		return "op_" + ksuid.Nil.String()
	}
	return "op_" + id.String()
}
