package control_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(link.Hello{Token: "alpha"})
		update := link.Command{Action: link.Update, Version: "1.2.3", PermitMajor: true}
		if err := w.Command(t.Context(), c.SessionID, update); err != nil || len(c.commands) != 1 || c.commands[0] != update {
			t.Errorf("the agent heard %+v (%v)", c.commands, err)
		}
		if err := w.Command(t.Context(), "ts_none", update); !postern.HasCode(err, postern.CodeNotFound) {
			t.Errorf("unknown session: %v", err)
		}
		// Some agents never answer.
		dead := newAgent("198.51.100.8:1")
		dead.silent = true
		mute := w.connectAs(dead, link.Hello{Token: "alpha"})
		started := time.Now()
		if err := w.Command(t.Context(), mute.SessionID, update); !postern.HasCode(err, postern.CodeCommandUnanswered) {
			t.Errorf("no answer: %v", err)
		}
		if took := time.Since(started); took != 10*time.Second {
			t.Errorf("waited %v", took)
		}
	})
}

func TestStopEndpoint(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	a, b := c.bind(t, request(t, "https://a.example.com")), c.bind(t, request(t, "https://b.example.com"))
	why := postern.Errorf(postern.CodeNameReserved, "not yours any more")
	if err := w.StopEndpoint(t.Context(), a.EndpointID, why); err != nil {
		t.Fatal(err)
	}
	if len(c.stopped) != 1 || c.stopped[0] != a.ID {
		t.Errorf("the agent was told of %v", c.stopped)
	}
	if w.reachable("a.example.com", true) || !w.reachable("b.example.com", true) {
		t.Error("the wrong endpoint is offline")
	}
	if err := w.StopEndpoint(t.Context(), a.EndpointID, why); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("stopped twice: %v", err)
	}
	_ = b
}

// D14: our own agents are told one after the other; an SDK's session would die of
// being told.
func TestDrainIsSpreadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 100 })
		var ours []*connected
		for range 10 {
			ours = append(ours, w.connect(link.Hello{Token: "alpha"}))
		}
		sdk := newAgent("198.51.100.9:1")
		sdk.transport = "ngrok/2"
		w.connectAs(sdk, link.Hello{Token: "alpha"})
		started := time.Now()
		w.Drain(t.Context(), time.Second)
		if took := time.Since(started); took != 900*time.Millisecond {
			t.Errorf("took %v, want nine pauses of 100ms", took)
		}
		for _, c := range ours {
			if !c.drained {
				t.Error("an agent was not told")
			}
		}
		if sdk.drained {
			t.Error("an SDK was told")
		}
		hurried, cancel := context.WithCancel(t.Context())
		cancel()
		started = time.Now()
		w.Drain(hurried, time.Hour)
		if took := time.Since(started); took > time.Second {
			t.Errorf("a hurried drain took %v", took)
		}
	})
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	c.bind(t, request(t, "https://a.example.com"))
	w.Close(postern.Errorf(postern.CodeLinkDraining, "the server shuts down"))
	if c.Cause() == nil || len(w.Sessions()) != 0 || w.reachable("a.example.com", true) {
		t.Error("something outlived Close")
	}
}
