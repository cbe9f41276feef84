package signin

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
)

const (
	headPatience = 10 * time.Second
	idlePatience = 2 * time.Minute
	endPatience  = time.Second
	mostHead     = 64 << 10 // bytes
	// mostConnections is how many clients may be connected at once; others wait.
	mostConnections = 512
)

// Config makes a Door. URL, the name and the transport are required.
type Config struct {
	URL           *url.URL       // of the endpoint: scheme and host
	User          string         // without a colon
	Password      postern.Secret // in UTF-8
	Origins       []string       // of pages that may use it besides those of this machine
	Transport     *http.Transport
	Logger        *slog.Logger // nil: silent
	WrongPassword func()       // told once when the gate refuses, and again after it took the password
}

// Door is the handler. Make one with New.
type Door struct {
	config     Config
	credential string // what is sent; a secret
	origins    map[string]bool
	proxy      *httputil.ReverseProxy

	mu      sync.Mutex
	refused bool // the gate's last word on the password
}

// New makes a Door. An origin that is none is CodeFlagInvalid.
func New(c Config) (*Door, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{
		config:     c,
		credential: "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password.Reveal())),
		origins:    make(map[string]bool),
	}
	for _, text := range c.Origins {
		origin := strings.TrimSuffix(strings.ToLower(text), "/")
		if u, err := url.Parse(origin); err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return nil, postern.Errorf(postern.CodeFlagInvalid, "the origin %q is not as browsers write it; write https://front.example.com", text)
		}
		d.origins[origin] = true
	}
	transport := c.Transport.Clone()
	transport.DisableCompression = true // what the service sends is not ours to unpack
	d.proxy = &httputil.ReverseProxy{
		Rewrite: d.rewrite, ModifyResponse: d.readAnswer, ErrorHandler: d.fail,
		Transport: transport, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	return d, nil
}

// ServeHTTP passes on one request, for as long as it takes.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := d.refuse(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	// Services may answer while they are still being sent to. A ResponseWriter that
	// cannot is a test's.
	_ = http.NewResponseController(w).EnableFullDuplex()
	d.proxy.ServeHTTP(w, r)
}

// Serve answers on the listener until ctx ends, and closes it. Requests have a moment to
// finish then. It returns once nothing of it runs any more: nil when ctx has ended.
func (d *Door) Serve(ctx context.Context, listener net.Listener) error {
	passing, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var running run.InFlight
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Start()
			defer running.Finish()
			d.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headPatience, IdleTimeout: idlePatience, MaxHeaderBytes: mostHead,
		BaseContext: func(net.Listener) context.Context { return passing },
		ErrorLog:    slog.NewLogLogger(d.config.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
		defer cancel()
		if server.Shutdown(ending) != nil {
			cut()
			_ = server.Close() // what does not end in time is cut
		}
	})
	err := server.Serve(netutil.LimitListener(listener, mostConnections))
	if !stop() {
		<-stopped
		err = nil
	}
	cut() // WebSockets, which Shutdown does not know
	running.Wait(context.WithoutCancel(ctx))
	d.proxy.Transport.(*http.Transport).CloseIdleConnections()
	return err
}
