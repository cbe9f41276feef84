package edge

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Challenges are the proofs that certificate authorities look for. Both methods are
// called for strangers; they may block for a moment, as ctx allows.
type Challenges interface {
	// HTTP gives the answer to GET /.well-known/acme-challenge/TOKEN on the plain port
	// (RFC 8555 §8.3); false: the request is not about a proof of ours.
	HTTP(ctx context.Context, host postern.Hostname, token string) (string, bool)
	// Certificate gives what is shown to who offers acme-tls/1 and nothing else (RFC 8737);
	// nil: the connection is not about a proof of ours.
	Certificate(ctx context.Context, host postern.Hostname) *tls.Certificate
}

const (
	challengePath = "/.well-known/acme-challenge/"
	alpnChallenge = "acme-tls/1"
	// mostToken bounds a token: authorities' have 43 characters.
	mostToken = 128
)

// proof is the answer to a request on the plain port that asks for one of ours; "" where
// it does not: what endpoints answer at the same path is theirs.
func (x *Exchange) proof() string {
	if x.edge.config.Challenges == nil || x.visitor.secure || !x.head.below(challengePath) {
		return ""
	}
	token := strings.TrimPrefix(x.head.path(), challengePath)
	if token == "" || len(token) > mostToken {
		return ""
	}
	// Not the request's own context: that would have the visitor watched, for an answer that
	// takes two seconds at most.
	text, _ := x.edge.config.Challenges.HTTP(x.edge.ctx, x.host, token)
	return text
}

// showProof answers with a proof.
func (x *webExchange) showProof(text string) error {
	x.w.Header().Set("Content-Type", "application/octet-stream")
	x.w.Header().Set("Cache-Control", "no-store")
	x.status = http.StatusOK
	n, _ := io.WriteString(x.w, text) // an authority that has gone asks again
	x.sent = int64(n)
	return nil
}

// proveTLS shows a proof of ours in a handshake; false: there is none for the name, and
// the connection is whose it is otherwise. It owns v if it returns true.
func (e *Edge) proveTLS(v *visitor, name postern.Hostname, offered []string) bool {
	if e.config.Challenges == nil || name == "" || len(offered) != 1 || offered[0] != alpnChallenge {
		return false
	}
	ctx, cancel := context.WithTimeout(e.ctx, time.Until(v.until))
	defer cancel()
	certificate := e.config.Challenges.Certificate(ctx, name)
	if certificate == nil {
		return false
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{alpnChallenge}, Certificates: []tls.Certificate{*certificate}, SessionTicketsDisabled: true}
	if conn, ok := e.handshake(v, v, config); ok {
		_ = conn.Close()
		_ = v.Close()
	}
	return true
}
