package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/service"
)

const (
	// awaitSocket is how long an errand waits for a server that has locked the data
	// directory and does not answer yet: it may just be starting.
	awaitSocket = 10 * time.Second
	retrySocket = 50 * time.Millisecond
	// askTime is for how long an errand is waited for that says nothing else.
	askTime     = 15 * time.Second
	maxQuestion = 1 << 20
	maxAnswer   = 16 << 20
)

// errand is something that an operator has done on the server's own machine, without
// the network: by the server that runs, which is asked over the socket of its data
// directory, or by the operator's own process where none does. Who may open the socket
// or the directory may have everything done.
type errand[In, Out any] struct {
	path     string        // on the socket
	patience time.Duration // for how long the server may take; 0 is askTime
	run      func(ctx context.Context, p premises, in In) (Out, error)
}

// premises are what errands work on.
type premises struct {
	dir    *dataDir
	config Config
	*state
	ca     *pki.LocalCA  // nil in the mode files
	meters *quota.Meters // nil where no server runs
	keys   *sync.Mutex   // held while keys are rotated
	logger *slog.Logger
}

// do runs the errand where it belongs.
func (e errand[In, Out]) do(ctx context.Context, c Config, logger *slog.Logger, in In) (Out, error) {
	var nothing Out
	waiting, cancel := context.WithTimeout(ctx, awaitSocket)
	defer cancel()
	for {
		dir, err := openDataDir(c.DataDir)
		if err == nil {
			out, err := e.stopped(ctx, dir, c, logger, in)
			return out, errors.Join(err, dir.close())
		}
		if !postern.HasCode(err, postern.CodeDataDirLocked) {
			return nothing, err
		}
		conn, dialError := dialSocket(waiting, c.DataDir)
		if dialError == nil {
			return e.ask(ctx, conn, in)
		}
		select {
		case <-waiting.Done():
			return nothing, postern.AsError(err).Because(dialError)
		case <-time.After(retrySocket):
		}
	}
}

// stopped runs the errand under the directory's lock.
func (e errand[In, Out]) stopped(ctx context.Context, dir *dataDir, c Config, logger *slog.Logger, in In) (Out, error) {
	var nothing Out
	bus := event.NewBus()
	defer bus.Close()
	state, err := openState(ctx, dir, c, bus, control.PublicPorts{HTTPS: c.Public.HTTPS, HTTP: c.Public.HTTP}, cluster.New(), service.GatewayConfig{}, service.RecordChecks{}, logger)
	if err != nil {
		return nothing, err
	}
	p := premises{dir: dir, config: c, state: state, keys: new(sync.Mutex), logger: logger}
	if c.TLS.Mode == ModeLocalCA {
		if p.ca, err = openCA(dir, c, nil, logger); err != nil {
			return nothing, errors.Join(err, state.close(ctx))
		}
	}
	out, err := e.run(ctx, p, in)
	if err := errors.Join(err, state.close(ctx)); err != nil {
		return nothing, err
	}
	return out, nil
}

// answer is what goes over the socket.
type answer[Out any] struct {
	Result Out          `json:"result"`
	Code   postern.Code `json:"code,omitempty"`
	Error  string       `json:"error,omitempty"`
}

func (e errand[In, Out]) patienceOr() time.Duration { return max(e.patience, askTime) }

// ask asks over the socket. conn is closed.
func (e errand[In, Out]) ask(ctx context.Context, conn net.Conn, in In) (Out, error) {
	var a answer[Out]
	ctx, cancel := context.WithTimeout(ctx, e.patienceOr())
	defer cancel()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	question, err := json.Marshal(in)
	if err != nil {
		return a.Result, fmt.Errorf("write the question: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern"+e.path, bytes.NewReader(question))
	if err != nil {
		return a.Result, fmt.Errorf("make the request: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return a.Result, postern.Errorf(postern.CodeDataDirLocked, "the running server did not answer").Because(err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return a.Result, postern.Errorf(postern.CodeDataDirLocked, "the running server's answer cannot be read; is it another version?").Because(err)
	}
	if a.Code != "" {
		return a.Result, postern.Errorf(a.Code, "%s", a.Error)
	}
	return a.Result, nil
}

// offer has the running server do the errand for who asks on the socket.
func (e errand[In, Out]) offer(mux *http.ServeMux, s *Server) {
	mux.HandleFunc("POST "+e.path, func(w http.ResponseWriter, r *http.Request) {
		// Who asked may go away; what was begun is brought to its end.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), e.patienceOr())
		defer cancel()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(e.patienceOr()))
		var in In
		var a answer[Out]
		err := decodeQuestion(r.Body, &in)
		if err == nil {
			a.Result, err = e.run(ctx, s.premises(), in)
		}
		if err != nil {
			coded := postern.AsError(err)
			s.log.ErrorContext(ctx, "an operator's command failed", "path", e.path, "error", err)
			a.Code, a.Error = coded.Code, coded.Text()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	})
}

func decodeQuestion(body io.Reader, in any) error {
	decoder := json.NewDecoder(io.LimitReader(body, maxQuestion))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return postern.Errorf(postern.CodeRequestInvalid, "the question cannot be read; is the server of another version?").Because(err)
	}
	return nil
}

func (s *Server) premises() premises {
	return premises{dir: s.dir, meters: s.meters, config: s.settings(), state: s.state, ca: s.ca, keys: &s.rotating, logger: s.log}
}

// socketServer answers on the socket; the file's mode is the authorisation.
func (s *Server) socketServer() *http.Server {
	mux := http.NewServeMux()
	bootstrapErrand().offer(mux, s)
	offerKeys(mux, s)
	offerAccounts(mux, s)
	offerPeople(mux, s)
	mux.HandleFunc("POST "+handOverPath, s.handOver)
	return &http.Server{Handler: mux, ReadHeaderTimeout: askTime, ReadTimeout: askTime, WriteTimeout: askTime,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
}
