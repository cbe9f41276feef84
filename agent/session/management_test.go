package session_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

func TestRemoteManagement(t *testing.T) {
	failing := errors.New("no such program")
	for _, c := range []struct {
		name       string
		management session.Management
		action     link.Action
		code       postern.Code // "" is done
		stops      bool
	}{
		{"stop", session.Management{}, link.Stop, "", true},
		{"stop when off", session.Management{Off: true}, link.Stop, postern.CodeStopUnsupported, false},
		{"restart", session.Management{Restart: func() error { return nil }}, link.Restart, "", true},
		{"restart when off", session.Management{Off: true, Restart: func() error { return nil }}, link.Restart, postern.CodeRestartUnsupported, false},
		{"restart that fails", session.Management{Restart: func() error { return failing }}, link.Restart, postern.CodeCommandFailed, false},
		{"restart that cannot be", session.Management{}, link.Restart, postern.CodeRestartUnsupported, false},
		{"update", session.Management{HowToUpdate: "apt upgrade postern"}, link.Update, postern.CodeUpdateUnsupported, false},
		{"nonsense", session.Management{}, "dance", postern.CodeCommandFailed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				r := run(t, session.Config{Connect: s.Connect, Management: c.management})
				synctest.Wait()
				err := s.current().callbacks.Command(t.Context(), link.Command{Action: c.action})
				if (err == nil) != (c.code == "") || err != nil && !postern.HasCode(err, c.code) {
					t.Errorf("the command = %v, want %s", err, c.code)
				}
				if why := c.management.HowToUpdate; why != "" && !strings.Contains(err.Error(), why) {
					t.Errorf("the refusal %v does not say how", err)
				}
				_, refused := c.management.Unsupported()[c.action]
				if refused && c.code == "" {
					t.Error("the server is told that it cannot be done")
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if stopped := r.Status().State == session.Stopped; stopped != c.stops {
					t.Errorf("state %s", r.Status().State)
				}
				r.stop()
			})
		})
	}
}
