package handover

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
)

// operation is what one process asks of another.
type operation string

const (
	opPing    operation = "ping"
	opClose   operation = "close"
	opCommand operation = "command"
	opStop    operation = "stop endpoint"
	opRevoke  operation = "revoke"
	opChange  operation = "change"
	opList    operation = "list sessions"
)

// call is a request to another process about a session of its own.
type call struct {
	Op         operation
	Session    postern.SessionID    `json:",omitempty"`
	Endpoint   postern.EndpointID   `json:",omitempty"`
	Credential postern.CredentialID `json:",omitempty"`
	Command    *link.Command        `json:",omitempty"`
	Account    postern.AccountID    `json:",omitempty"`
	Code       postern.Code         `json:",omitempty"`
	Text       string               `json:",omitempty"`
}

// because adds a reason.
func (c call) because(why *postern.Error) call {
	if why != nil {
		c.Code, c.Text = why.Code, clip(why.Text(), mostReply)
	}
	return c
}

func (c call) reason() *postern.Error {
	if c.Code == "" {
		return nil
	}
	return &postern.Error{Code: c.Code, Message: c.Text}
}

type reply struct {
	Took     time.Duration     `json:",omitempty"`
	Sessions []postern.Session `json:",omitempty"`
	More     bool              `json:",omitempty"` // there are sessions after the last of Sessions
	Code     postern.Code      `json:",omitempty"`
	Text     string            `json:",omitempty"`
}

const (
	mostCall = 1 << 20
	callTime = 30 * time.Second
)

// call asks the other process and waits for its answer. r may be nil.
func (p *peer) call(ctx context.Context, c call, r *reply) error {
	if r == nil {
		r = new(reply)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return postern.AsError(err)
	}
	st, err := p.session.Open(ctx, typeCall, binary.BigEndian.AppendUint32(nil, uint32(len(text))), text)
	if err != nil {
		return err
	}
	defer st.Close()
	_ = st.SetReadDeadline(time.Now().Add(callTime))
	stop := context.AfterFunc(ctx, func() { _ = st.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	text, err = readFrame(st, mostCall)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	switch {
	case err != nil:
		return postern.Errorf(postern.CodeLinkLost, "the process that has the session did not answer").Because(err)
	case r.Code != "":
		return &postern.Error{Code: r.Code, Message: r.Text}
	}
	return nil
}

// answer does what the other process asks.
func (p *peer) answer(st *mux.Stream) {
	defer st.Close()
	_ = st.SetDeadline(time.Now().Add(callTime))
	text, err := readFrame(st, mostCall)
	var c call
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		st.Reset(postern.AsError(unreadable(err)))
		return
	}
	var r reply
	if r, err = p.perform(c); err != nil {
		coded := postern.AsError(err)
		r.Code, r.Text = coded.Code, clip(coded.Text(), mostReply)
	}
	if text, err = json.Marshal(r); err == nil {
		_, _ = st.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)) // who asked may be gone
	}
}

func (p *peer) perform(c call) (reply, error) {
	ctx, cancel := p.context(context.Background())
	defer cancel()
	ctx, done := context.WithTimeout(ctx, callTime)
	defer done()
	sessions := p.peers.config.Sessions
	switch {
	case c.Op == opRevoke:
		sessions.CredentialRevoked(c.Credential)
		return reply{}, nil
	case c.Op == opChange:
		sessions.CredentialChanged(ctx, c.Credential)
		return reply{}, nil
	case c.Op == opList:
		return listSessions(sessions.SessionsOf(c.Account), c.Session), nil
	case c.Op == opCommand && c.Command != nil:
		return reply{}, sessions.Command(ctx, c.Session, *c.Command)
	}
	session := sessions.Link(c.Session)
	if session == nil {
		return reply{}, postern.Errorf(postern.CodeLinkLost, "the session has ended")
	}
	switch c.Op {
	case opPing:
		took, err := session.Ping(ctx)
		return reply{Took: took}, err
	case opClose:
		session.Close(c.reason())
		return reply{}, nil
	case opStop:
		live, found := p.peers.config.Cluster.Find(c.Endpoint)
		if !found || live.Borrowed || live.Endpoint.Session != c.Session { // or a bind id would go to a session that did not give it
			return reply{}, postern.Errorf(postern.CodeNotFound, "the endpoint is offline")
		}
		return reply{}, session.StopEndpoint(ctx, live.BindID, c.reason())
	}
	return reply{}, unreadable(errors.New("it asks for something unknown"))
}

// parseRefusal reads what writeReply wrote.
func parseRefusal(text string) *postern.Error {
	code, message, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(code, "ERR_") {
		return postern.Errorf(postern.CodeProtocolViolation, "the other process refused the stream in words that cannot be read")
	}
	return &postern.Error{Code: postern.Code(code), Message: message}
}
