package session

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Management is what the server's operator may do to the agent from afar. The zero
// value lets it be stopped.
type Management struct {
	// Off refuses everything.
	Off bool
	// Restart prepares a restart. Once it has returned nil the agent drains, and
	// whoever runs it makes a new one when Run has returned. nil: it cannot.
	Restart func() error
	// HowToUpdate is said to who asks for an update; agents do not replace themselves.
	HowToUpdate string
}

// Unsupported is what the agent tells the server that it cannot do, and why.
func (m *Management) Unsupported() map[link.Action]string {
	if m.Off {
		const off = "remote management is turned off where this agent runs (remote_management: false)"
		return map[link.Action]string{link.Stop: off, link.Restart: off, link.Update: off}
	}
	cannot := map[link.Action]string{
		link.Update: cmp.Or(m.HowToUpdate, "this agent cannot update itself; install the new version where it runs"),
	}
	if m.Restart == nil {
		cannot[link.Restart] = "this agent cannot restart itself; restart it where it runs"
	}
	return cannot
}

// command carries out what the server's operator asks, or says why not.
func (s *Supervisor) command(ctx context.Context, c link.Command) error {
	why, refused := s.config.Management.Unsupported()[c.Action]
	if refused {
		s.log.WarnContext(ctx, "refused a request of the server", slog.String("obj", "app"), slog.String("action", string(c.Action)), slog.String("err", why))
	}
	code := postern.CodeCommandFailed
	switch c.Action {
	case link.Stop:
		if !refused {
			s.Stop()
			return nil
		}
		code = postern.CodeStopUnsupported
	case link.Restart:
		if !refused {
			return s.restart(ctx)
		}
		code = postern.CodeRestartUnsupported
	case link.Update:
		code = postern.CodeUpdateUnsupported
	default:
		why = "the agent does not know the command " + string(c.Action)
	}
	return postern.Errorf(code, "%s", why)
}

func (s *Supervisor) restart(ctx context.Context) error {
	if err := s.config.Management.Restart(); err != nil {
		s.log.WarnContext(ctx, "the restart that the server asked for failed", slog.String("obj", "app"), slog.Any("err", err))
		return postern.Errorf(postern.CodeCommandFailed, "the agent cannot restart: %v", err)
	}
	s.restarting.Store(true)
	s.Stop()
	return nil
}
