package sshr

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// welcome is what the admission gave.
type welcome struct {
	binder  link.Binder // nil for a client that was not admitted
	account string
	refused *postern.Error // why it was not
}

// refusalTime is how long a client that was not admitted may take to open a session
// channel and show why.
const refusalTime = 3 * time.Second

// serve runs the session to its end.
func (s *session) serve(ctx context.Context, hello link.Hello, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		s.Close(postern.Errorf(postern.CodeLinkDraining, "the server ended the session"))
	})
	defer stop()
	s.admit(ctx, hello)
	if s.refused != nil {
		late := time.AfterFunc(refusalTime, func() { s.Close(s.refused) })
		defer late.Stop()
	} else {
		s.work.Go(func() { s.protect(ctx, func() { s.watch(ctx) }) })
	}
	s.work.Go(func() { s.protect(ctx, func() { s.answerAll(ctx, requests) }) })
	s.work.Go(func() { s.protect(ctx, func() { s.accept(ctx, channels) }) })
	err := s.conn.Wait()
	s.cut(postern.Errorf(postern.CodeLinkLost, "the SSH client ended the connection").Because(link.Cause(err)))
	close(s.done)
	cancel()
	_ = s.conn.Close()
	// From here no request can succeed any more. They are waited for, so that a Bind that
	// was on its way is released with the rest.
	s.work.Wait()
	why := s.Cause()
	if s.binder != nil {
		s.binder.Release(why)
	}
	return why
}

// admit asks for the session to be let in.
func (s *session) admit(ctx context.Context, hello link.Hello) {
	client := printable(string(s.conn.ClientVersion()))
	hello.Agent = postern.AgentInfo{ClientType: "ssh", UserAgent: client, Version: strings.TrimPrefix(client, "SSH-2.0-")}
	ctx, cancel := context.WithTimeout(ctx, s.server.config.GreetTime)
	defer cancel()
	binder, answer, err := s.server.config.Gatekeeper.Admit(ctx, s, hello)
	if err != nil {
		s.refused = postern.AsError(err)
		s.binder = nil
		return
	}
	s.binder, s.account = binder, answer.AccountName
}

// protect is the session's boundary: a bug that some input finds ends that session and no
// other.
func (s *session) protect(ctx context.Context, f func()) {
	defer func() {
		if problem := recover(); problem != nil {
			s.server.config.Logger.ErrorContext(ctx, "an SSH session failed inside Postern", slog.Any("panic", problem), "stack", string(debug.Stack()))
			s.Close(&postern.Error{Code: postern.CodeInternal})
		}
	}()
	f()
}

// accept takes session channels, and refuses every other one with a reason.
func (s *session) accept(ctx context.Context, channels <-chan ssh.NewChannel) {
	for offered := range channels {
		switch kind := offered.ChannelType(); {
		case kind == "direct-tcpip":
			_ = offered.Reject(ssh.Prohibited, "connections into the server's network are not for SSH clients; only remote forwards (-R) are")
		case kind != "session":
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions and remote forwards (-R) are served here")
		case !s.mayShow():
			_ = offered.Reject(ssh.ResourceShortage, "this connection has as many sessions as it may")
		default:
			s.open()
			channel, requests, err := offered.Accept()
			if err != nil {
				s.unshow(nil)
				continue
			}
			one := newScreen(s, channel)
			s.work.Go(func() { s.protect(ctx, func() { one.serve(requests) }) })
		}
	}
}

// printable keeps what a terminal and a log can show of a text from outside.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}
