package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
)

// logObject marks the lines of the session for the tools that read ngrok's log.
var logObject = slog.String("obj", "tunnels.session")

// establish connects until there is a session, and starts it. It returns nil, nil
// when ctx ended first, and an error only where the first session is definitely
// refused. Of a row of failures one line is logged, at the start.
func (s *Supervisor) establish(ctx, work context.Context, first bool) (*live, error) {
	var told postern.Code
	for {
		l, err := s.connect(ctx, work)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		why := postern.AsError(err)
		if first && refused(why) {
			s.logFailure(ctx, slog.LevelError, why)
			return nil, why
		}
		level := slog.LevelDebug
		if why.Code != told {
			level, told = slog.LevelError, why.Code
		}
		s.logFailure(ctx, level, why)
		s.setStatus(func(st *Status) {
			st.Why = why
			if st.State != Connecting {
				st.State = Reconnecting
			}
		})
		if !sleep(ctx, s.backoff.failed(why, time.Now())) {
			return nil, nil
		}
	}
}

func (s *Supervisor) logFailure(ctx context.Context, level slog.Level, why *postern.Error) {
	message := "failed to reconnect session"
	switch why.Code {
	case postern.CodeTokenInvalid, postern.CodeTokenMalformed, postern.CodeTooManyFailures:
		message = "failed to auth"
	}
	s.log.Log(ctx, level, message, logObject, slog.Any("err", describe(why)))
}

// connect makes one attempt. A session that was made while ctx ended is closed.
func (s *Supervisor) connect(ctx, work context.Context) (*live, error) {
	l := newLive(s, work)
	s.mu.Lock()
	hello := s.hello
	s.mu.Unlock()
	client, welcome, err := s.config.Connect(ctx, hello, Callbacks{
		Command:         s.command,
		EndpointStopped: l.endpointStopped,
	})
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.client, l.began = client, time.Now()
	s.mu.Lock()
	s.hello.ClientID, s.hello.Cookie = welcome.ClientID, welcome.Cookie
	s.current = l
	announce(&s.reached)
	s.mu.Unlock()
	s.backoff.began = time.Time{}
	s.log.InfoContext(ctx, "client session established", logObject)
	s.log.InfoContext(ctx, "tunnel session started", logObject)
	s.setStatus(func(st *Status) {
		st.State, st.Session, st.Why = Online, welcome, nil
	})
	l.start()
	return l, nil
}

// sleep waits; false: ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// describe is an error's text for the owner of the agent, with the cause that
// strangers are not shown.
func describe(err *postern.Error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if err.Cause != nil {
		text += ": " + err.Cause.Error()
	}
	return text
}
