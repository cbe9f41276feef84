package native

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// Inspect asks the server at the far end of conn, whose TLS handshake is done, what it
// is, without a token, and measures one round trip. It closes conn. Errors are
// *postern.Error: CodeLinkLost when nothing sensible came back before ctx ended.
func Inspect(ctx context.Context, conn net.Conn) (region string, latency time.Duration, err error) {
	if err := checkTLS(conn); err != nil {
		_ = conn.Close()
		return "", 0, err
	}
	carrier := newCarrier(conn, true, clientLimits, mux.NewBudget(), usualBacklog, slog.New(slog.DiscardHandler))
	defer func() {
		carrier.Close(postern.AsError(err))
		<-carrier.Closed()
	}()
	var info sessionmsg.SrvInfoResp
	if err := call(ctx, carrier, sessionmsg.TypeSrvInfo, sessionmsg.SrvInfo{}, &info); err != nil {
		return "", 0, err
	}
	latency, err = carrier.Ping(ctx)
	return info.Region, latency, err
}
