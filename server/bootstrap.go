package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

// Keys are what bootstrap prints: who owns the installation and, the first time
// only, the keys to it.
type Keys struct {
	AccountID postern.AccountID `json:"account_id"`
	UserID    postern.UserID    `json:"user_id"`
	APIKey    string            `json:"api_key,omitempty"`
	Authtoken string            `json:"authtoken,omitempty"`
	CAFile    string            `json:"ca_file,omitempty"`
	CAPin     string            `json:"ca_pin,omitempty"` // the fingerprint of its certificate, for "postern login --ca-pin"
}

const (
	bootstrapPath = "/bootstrap"
	// awaitSocket is how long bootstrap waits for a server that has locked the data
	// directory and does not answer yet: it may just be starting.
	awaitSocket = 10 * time.Second
	retrySocket = 50 * time.Millisecond
	askTime     = 15 * time.Second
	maxAnswer   = 64 << 10
)

// Bootstrap makes the first account, user, API key and authtoken of the
// installation in c.DataDir, or says who exists. It asks the server that runs there
// over its socket, or does it itself when none does.
func Bootstrap(ctx context.Context, c Config, logger *slog.Logger) (Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitSocket)
	defer cancel()
	for {
		dir, err := openDataDir(c.DataDir)
		if err == nil {
			keys, err := bootstrapStopped(ctx, dir, c, logger)
			return keys, errors.Join(err, dir.close())
		}
		if !postern.HasCode(err, postern.CodeDataDirLocked) {
			return Keys{}, err
		}
		conn, dialError := dialSocket(ctx, c.DataDir)
		if dialError == nil {
			return askRunning(context.WithoutCancel(ctx), conn)
		}
		select {
		case <-ctx.Done():
			return Keys{}, postern.AsError(err).Because(dialError)
		case <-time.After(retrySocket):
		}
	}
}

// bootstrapStopped does it under the directory's lock.
func bootstrapStopped(ctx context.Context, dir *dataDir, c Config, logger *slog.Logger) (Keys, error) {
	bus := event.NewBus()
	defer bus.Close()
	nobody := func() ([]postern.Hostname, []uint16) { return nil, nil }
	state, err := openState(ctx, dir, c, bus, c.apiURL(c.Public.HTTPS), nobody, logger)
	if err != nil {
		return Keys{}, err
	}
	caFile := ""
	if c.TLS.Mode == ModeLocalCA {
		ca, err := openCA(dir, c, logger)
		if err != nil {
			return Keys{}, errors.Join(err, state.close(ctx))
		}
		caFile = ca.RootFile()
	}
	made, err := state.service.Bootstrap(ctx)
	if err := errors.Join(err, state.close(ctx)); err != nil {
		return Keys{}, err
	}
	return keysOf(made, caFile), nil
}

func keysOf(made service.Bootstrap, caFile string) Keys {
	return Keys{AccountID: made.AccountID, UserID: made.UserID,
		APIKey: made.APIKey.Reveal(), Authtoken: made.Authtoken.Reveal(), CAFile: caFile, CAPin: pinOf(caFile)}
}

// pinOf is the fingerprint of the certificate in a file that this server wrote; ""
// where there is none.
func pinOf(caFile string) string {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Bootstrap does it for the running server.
func (s *Server) Bootstrap(ctx context.Context) (Keys, error) {
	made, err := s.service.Bootstrap(ctx)
	if err != nil {
		return Keys{}, err
	}
	return keysOf(made, s.CAFile()), nil
}

// answer is what goes over the socket.
type answer struct {
	Keys  Keys
	Code  postern.Code `json:",omitempty"`
	Error string       `json:",omitempty"`
}

// askRunning asks over the socket. conn is closed.
func askRunning(ctx context.Context, conn net.Conn) (Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern"+bootstrapPath, nil)
	if err != nil {
		return Keys{}, fmt.Errorf("make the request: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Keys{}, postern.Errorf(postern.CodeDataDirLocked, "the running server did not answer").Because(err)
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&a); err != nil {
		return Keys{}, postern.Errorf(postern.CodeDataDirLocked, "the running server's answer cannot be read; is it another version?").Because(err)
	}
	if a.Code != "" {
		return Keys{}, postern.Errorf(a.Code, "%s", a.Error)
	}
	return a.Keys, nil
}

// socketServer answers on the socket; the file's mode is the authorisation.
func (s *Server) socketServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+bootstrapPath, func(w http.ResponseWriter, r *http.Request) {
		var a answer
		keys, err := s.Bootstrap(r.Context())
		if err != nil {
			coded := postern.AsError(err)
			s.log.ErrorContext(r.Context(), "bootstrap failed", "error", err)
			a.Code, a.Error = coded.Code, coded.Text()
		}
		a.Keys = keys
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // who asked may be gone
	})
	mux.HandleFunc("POST "+handOverPath, s.handOver)
	return &http.Server{Handler: mux, ReadHeaderTimeout: askTime, ReadTimeout: askTime, WriteTimeout: askTime,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
}
