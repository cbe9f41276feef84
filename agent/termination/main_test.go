package termination_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// authority makes certificates.
type authority struct {
	*certify.Made
	t *testing.T
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	return &authority{certify.New(t, name, nil, certify.Authority, certify.Valid(time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0))), t}
}

// days is how long a certificate is good that it makes.
func days(n int) certify.Edit {
	return certify.Valid(time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, n))
}

func (a *authority) server(name string) *certify.Made {
	return certify.New(a.t, name, a.Made, days(90), certify.For(x509.ExtKeyUsageServerAuth))
}

func (a *authority) client(name string) tls.Certificate {
	return certify.New(a.t, name, a.Made, days(90), certify.For(x509.ExtKeyUsageClientAuth)).TLS()
}

func (a *authority) revoke(serials ...*big.Int) string {
	return certify.Block("X509 CRL", a.Revoke(a.t, time.Now(), time.Now().Add(24*time.Hour), 0, serials...))
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// visit makes one connection and says a word over it. The service's end of it answers with
// the same word.
func visit(t *testing.T, service, visitor *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := testkit.Pipe()
	defer near.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer far.Close()
		conn := tls.Server(far, service)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if conn.HandshakeContext(ctx) == nil {
			_, _ = io.CopyN(conn, conn, 4)
			return
		}
		// As the agent does: what the visitor has sent must not overtake the alert that
		// tells it why.
		if half, is := far.(interface{ CloseWrite() error }); is {
			_ = half.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, far)
	}()
	defer func() { near.Close(); <-served }()
	conn := tls.Client(near, visitor)
	if _, err := conn.Write([]byte("word")); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return conn.ConnectionState(), err
}

// journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }
