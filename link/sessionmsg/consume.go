package sessionmsg

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// dialTimeout bounds the reading of a Dial, which comes with its stream.
const dialTimeout = 10 * time.Second

// consume serves a stream by which an agent reaches a port of a private gateway. Unlike
// a request it lives as long as the connection, so it takes none of the slots; the
// carrier bounds how many there are.
func (w *worker) consume(ctx context.Context, stream link.Stream) {
	defer w.recover(ctx)
	if err := w.joinGateway(ctx, stream); err != nil {
		stream.Reset(w.coded(ctx, err))
	}
	_ = stream.Close() // of a stream that was reset nothing is left to tell
}

// joinGateway returns the error that the agent is to hear.
func (w *worker) joinGateway(ctx context.Context, stream link.Stream) error {
	if err := stream.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	request, err := ReadDial(stream)
	if err != nil {
		return postern.Errorf(postern.CodeProtocolViolation, "what the stream is to reach cannot be read").Because(err)
	}
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	port, err := request.GatewayPort()
	if err != nil {
		return err
	}
	binder := w.session.binder.Load()
	if binder == nil {
		w.carrier.Close(postern.Errorf(postern.CodeProtocolViolation, "the agent sent a request of type %d before it was admitted", TypeDial))
		return postern.Errorf(postern.CodeProtocolViolation, "the session is not admitted")
	}
	consumer, ok := (*binder).(link.Consumer)
	if !ok {
		return postern.Errorf(postern.CodeAccessDenied, "this session can reach no private gateways")
	}
	if request.Check {
		if err := consumer.Check(ctx, port); err != nil {
			return err
		}
		return answerDial(stream)
	}
	var answered atomic.Bool
	err = consumer.Join(ctx, port, stream, func() error {
		answered.Store(true)
		return answerDial(stream)
	})
	if answered.Load() {
		return nil // how it went on is the Consumer's to tell
	}
	return err
}

// answerDial says that nothing was refused.
func answerDial(stream link.Stream) error {
	raw, err := EncodeHead(DialResp{})
	if err == nil {
		_, err = stream.Write(raw)
	}
	return err
}
