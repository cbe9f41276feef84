package session

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// protocolACME is that of an ACME server that looks for its proof (RFC 8737): the
// handshake is all of it.
const protocolACME = "acme-tls/1"

// errProved ends a connection that an ACME server made.
var errProved = errors.New("the handshake was all")

// refusalLinger is how long a refused visitor may take to read why.
const refusalLinger = 2 * time.Second

// mostAfterRefusal bounds what it may send meanwhile.
const mostAfterRefusal = 64 << 10

// terminate ends the visitor's TLS, where that is the agent's to do.
func (f *Forward) terminate(ctx context.Context, stream link.Stream) (relay.Conn, error) {
	if f.Terminate == nil {
		return stream, nil
	}
	conn := tls.Server(stream, f.Terminate)
	ctx, cancel := context.WithTimeout(ctx, visitorPatience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		// Who the visitor claimed to be is for the log, and not for the server.
		if refusal := mutualtls.RefusalOf(err); refusal != nil {
			return nil, postern.Errorf(postern.CodeClientCertificateRefused, "the visitor's client certificate was refused").Because(refusal)
		}
		return nil, postern.Errorf(postern.CodeStreamReset, "the TLS handshake failed").Because(err)
	}
	if conn.ConnectionState().NegotiatedProtocol == protocolACME {
		return nil, errProved
	}
	return conn, nil
}

// refuse ends the stream of a handshake that failed. A reset at once would overtake the
// alert, which tells the visitor why.
func refuse(stream link.Stream, why *postern.Error) {
	if stream.CloseWrite() != nil || stream.SetReadDeadline(time.Now().Add(refusalLinger)) != nil {
		relay.Abort(stream, why)
		return
	}
	_, _ = io.CopyN(io.Discard, stream, mostAfterRefusal) // whichever way it ends
	relay.Abort(stream, why)
}

// clientOf says, for the log, whose certificate the visitor has shown, and whether
// anybody vouches for it.
func (f *Forward) clientOf(visitor relay.Conn) []any {
	secured, is := visitor.(interface{ ConnectionState() tls.ConnectionState })
	if !is {
		return nil
	}
	state := secured.ConnectionState()
	shown := state.PeerCertificates
	if len(shown) == 0 {
		return nil
	}
	verified := len(state.VerifiedChains) > 0
	if f.Verified != nil {
		verified = f.Verified(shown)
	}
	return []any{
		slog.String("client", mutualtls.Subject(shown[0])), slog.String("client_serial", material.Serial(shown[0].SerialNumber)),
		slog.Bool("client_verified", verified),
	}
}

// Attend has the Keeper look after the endpoint.
func (f *Forward) Attend(ctx context.Context, bound link.Bound, certifier link.Certifier) {
	if f.Keeper != nil {
		f.Keeper.Attend(ctx, bound, certifier)
	}
}

var _ Attendant = (*Forward)(nil)
