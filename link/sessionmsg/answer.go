package sessionmsg

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// answer serves one stream of the agent's: reads the request, writes the reply,
// and ends the stream, because ngrok-rust reads replies to their end. The request
// itself ends with its JSON: ngrok-rust does not close its side.
func (w *worker) answer(ctx context.Context, streamType uint32, stream link.Stream) {
	defer func() { <-w.slots }()
	defer w.recover(ctx)
	defer stream.Close()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_ = stream.SetDeadline(time.Now().Add(requestTimeout))

	switch streamType {
	case TypeAuth:
		w.auth(ctx, stream)
		return
	case TypeSrvInfo:
		// Needed before Auth: the SDK's diagnosis asks nothing else.
		var request SrvInfo
		w.reply(ctx, stream, Read(stream, &request), SrvInfoResp{Region: w.Registrar.Region()})
		return
	}
	binder := w.session.binder.Load()
	if binder == nil {
		w.carrier.Close(postern.Errorf(postern.CodeProtocolViolation, "the agent sent a request of type %d before it was admitted", streamType))
		return
	}
	w.request(ctx, streamType, stream, *binder)
}

// request serves what only an admitted agent may ask.
func (w *worker) request(ctx context.Context, streamType uint32, stream link.Stream, binder link.Binder) {
	switch streamType {
	case TypeBind:
		w.bind(ctx, stream, binder)
	case TypeUnbind:
		var request Unbind
		err := Read(stream, &request)
		if err == nil {
			err = binder.Unbind(ctx, request.ID)
		}
		w.reply(ctx, stream, nil, UnbindResp{Error: w.errorText(ctx, err)})
	case TypeCertify:
		if !w.Dialect.Certifies {
			stream.Reset(postern.Errorf(postern.CodeProtocolViolation, "this server takes no streams of type %d", streamType))
			return
		}
		w.certify(ctx, stream, binder)
	case TypeStartLabel:
		w.bindLabels(ctx, stream, binder)
	case TypePatch:
		var request PatchTunnelState
		err := Read(stream, &request)
		if err == nil {
			err = binder.Patch(ctx, request.Patch())
		}
		w.reply(ctx, stream, nil, PatchTunnelStateResp{Error: w.errorText(ctx, err)})
	default:
		// AgentMetrics included, which no agent sends unless AuthResp asks for it.
		stream.Reset(postern.Errorf(postern.CodeProtocolViolation, "this server takes no streams of type %d", streamType))
	}
}

// auth admits or refuses the session.
func (w *worker) auth(ctx context.Context, stream link.Stream) {
	var request Auth
	err := Read(stream, &request)
	if !w.asked.CompareAndSwap(false, true) {
		w.carrier.Close(postern.Errorf(postern.CodeProtocolViolation, "the agent authenticated twice"))
		return
	}
	var hello link.Hello
	if err == nil {
		hello, err = request.Hello()
	}
	if err != nil {
		w.Logger.InfoContext(ctx, "an agent's first message is not acceptable", "remote", w.session.remote, "error", err)
		w.refuse(ctx, stream, &request, err)
		return
	}
	w.session.hello.Store(&hello)
	binder, welcome, err := w.Registrar.Admit(ctx, w.session, hello)
	if err != nil {
		w.refuse(ctx, stream, &request, err)
		return
	}
	// From here on run releases the binder, whatever happens.
	w.session.binder.Store(&binder)
	if !w.settled.CompareAndSwap(false, true) {
		return // tooLate has closed the session
	}
	response := NewAuthResp(&request, welcome, w.Version)
	response.Extra.Postern = w.Dialect.Admitted(&request, hello)
	w.reply(ctx, stream, nil, response)
}

// refuse tells the agent why, gives it a moment to read that, and ends the session.
// What Admit refuses it has logged itself: one line for each knock of a stranger.
func (w *worker) refuse(ctx context.Context, stream link.Stream, request *Auth, err error) {
	why := postern.AsError(err)
	w.settled.Store(true)
	w.reply(ctx, stream, nil, RefuseAuth(request, why))
	_ = stream.CloseWrite()
	timer := time.NewTimer(refusalLinger)
	defer timer.Stop()
	select {
	case <-w.carrier.Done():
	case <-ctx.Done():
	case <-timer.C:
	}
	w.carrier.Close(why)
}

// bind takes an endpoint online. If the agent cannot be told of it, it goes
// offline again: nobody would ever unbind it.
func (w *worker) bind(ctx context.Context, stream link.Stream, binder link.Binder) {
	var message Bind
	if err := Read(stream, &message); err != nil {
		w.reply(ctx, stream, nil, message.Refuse(w.coded(ctx, err)))
		return
	}
	request, err := w.Dialect.Request(&message)
	if err != nil {
		w.reply(ctx, stream, nil, message.Refuse(w.coded(ctx, err)))
		return
	}
	bound, err := binder.Bind(ctx, request)
	if err != nil {
		w.reply(ctx, stream, nil, message.Refuse(w.coded(ctx, err)))
		return
	}
	response, err := w.Dialect.Reply(&message, bound)
	if err == nil {
		err = Write(stream, response)
	}
	if err != nil {
		w.Logger.InfoContext(ctx, "a bound endpoint could not be reported to its agent", "id", bound.ID, "error", err)
		_ = binder.Unbind(context.WithoutCancel(ctx), bound.ID)
	}
}

func (w *worker) bindLabels(ctx context.Context, stream link.Stream, binder link.Binder) {
	var request StartTunnelWithLabel
	var response StartTunnelWithLabelResp
	err := Read(stream, &request)
	if err == nil {
		var bound link.Bound
		bound, err = binder.BindLabels(ctx, "", request.Labels)
		response.ID = bound.ID
	}
	response.Error = w.errorText(ctx, err)
	w.reply(ctx, stream, nil, response)
}

// reply writes response unless the request could not be read. A reply that cannot
// be written needs no more than a line in the log: the agent will see its stream
// end.
func (w *worker) reply(ctx context.Context, stream link.Stream, readError error, response any) {
	err := readError
	if err == nil {
		err = Write(stream, response)
	}
	if err != nil {
		w.Logger.DebugContext(ctx, "a request of an agent failed", "remote", w.session.remote, "error", err)
	}
}

func (w *worker) errorText(ctx context.Context, err error) string {
	if err == nil {
		return ""
	}
	return ErrorText(w.coded(ctx, err))
}

// coded gives err's code; what has none is a fault of ours, and logged as such.
func (w *worker) coded(ctx context.Context, err error) *postern.Error {
	coded := postern.AsError(err)
	if coded.Code == postern.CodeInternal {
		w.Logger.ErrorContext(ctx, "a request of an agent failed inside", "error", err)
	}
	return coded
}
