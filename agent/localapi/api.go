package localapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/inspect"
)

// Config makes an API. Agent and Recorder are required.
type Config struct {
	Agent    Agent
	Recorder *inspect.Recorder
	Version  string // that the status shows
	// Both tells that an http tunnel that does not say has two URLs.
	Both bool
	// Address is what is listened on; nil is loopback at a port nobody knows.
	Address    net.Addr
	AllowHosts []string       // further names in Host: an address, a range, a name, ".suffix"
	Token      postern.Secret // what exposed requests must carry; "" refuses them
	Saved      *Saved         // where persistent tunnels are kept; nil: nowhere
	Logger     *slog.Logger   // nil: silent
}

// API is the handler. Make one with New.
type API struct {
	config    Config
	guard     guard
	routes    []route
	followers chan struct{} // slots of event streams
	starts    turns         // so that an endpoint and what is saved of it go together
}

// mostFollowers is how many event streams there may be.
const mostFollowers = 32

// New makes the API. A host in AllowHosts that cannot be read is CodeConfigInvalid.
func New(c Config) (*API, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	guard, err := newGuard(c)
	if err != nil {
		return nil, err
	}
	return &API{config: c, guard: guard, routes: routes(), followers: make(chan struct{}, mostFollowers)}, nil
}

// call is one request.
type call struct {
	*http.Request
	controller *http.ResponseController
	id         string
	name       string // the last part of the path, where the route has one
	raw        string // the same, not decoded
}

// answer is what a handler gives: a status, and what is written as JSON or XML.
type answer struct {
	status int // 0: the handler has written it
	body   any // nil: none
}

// noReadDeadline is called once everything has been read: net/http would take the end
// of that time for the client's leaving.
func (c *call) noReadDeadline() {
	_ = c.controller.SetReadDeadline(time.Time{}) // a ResponseWriter that knows none is a test's
}

const (
	// mostBody bounds a request's body: certificates and a policy fit easily.
	mostBody = 1 << 20
	// writePatience is how long an answer may take to be written.
	writePatience = time.Minute
)

// ServeHTTP answers one request and logs its begin and its end.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, controller: http.NewResponseController(w), id: newID()}
	page, began := clip(r.URL.Path), time.Now()
	recorded := &recorded{ResponseWriter: w}
	log := a.config.Logger
	log.InfoContext(r.Context(), "start", slog.String("pg", page), slog.String("id", c.id))
	defer func() {
		log.InfoContext(r.Context(), "end", slog.String("pg", page), slog.String("id", c.id),
			slog.Int("status", recorded.status), slog.Duration("dur", time.Since(began)))
	}()
	// Without a deadline the writer of an unread answer would wait for ever. A
	// ResponseWriter that knows none is a test's.
	_ = c.controller.SetWriteDeadline(began.Add(writePatience))
	r.Body = http.MaxBytesReader(w, r.Body, mostBody)
	a.serve(recorded, c)
}

func (a *API) serve(w http.ResponseWriter, c *call) {
	if refusal := a.guard.check(c.Request, a.config.Agent.Tunnels); refusal != nil {
		refusal.write(w)
		return
	}
	route, failed := a.find(c)
	if failed == nil {
		var done answer
		var err error
		if done, err = route.serve(a, w, c); err == nil {
			a.write(w, c, done)
			return
		}
		failed = a.failure(c.Context(), c, err)
	}
	a.write(w, c, answer{failed.StatusCode, failed})
}

// failure makes of an error what is answered.
func (a *API) failure(ctx context.Context, c *call, err error) *failure {
	if f, ok := err.(*failure); ok {
		return f
	}
	coded := postern.AsError(err)
	a.config.Logger.WarnContext(ctx, "request to the agent's API failed", slog.String("pg", clip(c.URL.Path)),
		slog.String("id", c.id), slog.String("err", err.Error()))
	return &failure{
		StatusCode: coded.Code.Entry().Status, Msg: coded.Code.Entry().Title,
		Details: map[string]string{"err": coded.Text(), "code": string(coded.Code)},
	}
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// recorded remembers the status of an answer.
type recorded struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *recorded) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (r *recorded) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func clip(text string) string { return postern.Clip(text, 200) }
