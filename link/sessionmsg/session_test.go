package sessionmsg_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestOpenSendsHeaderAndFirstBytes(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	session := a.admit(registrar, link.Hello{}).Session
	visitor, err := session.Open(t.Context(), exampleHeader, []byte("GET /"))
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	got := <-a.carrier.toAgent
	defer got.stream.Close()
	want := append(sessionmsg.AppendProxyHeader(nil, exampleHeader), "GET /"...)
	raw := make([]byte, len(want))
	if _, err := io.ReadFull(got.stream, raw); err != nil || !bytes.Equal(raw, want) || got.streamType != sessionmsg.TypeProxy {
		t.Errorf("type %d, %q, %v", got.streamType, raw, err)
	}
	a.close()
}

func TestCommands(t *testing.T) {
	tests := []struct {
		name    string
		command link.Command
		request string // what the agent reads
		reply   string // what it answers; "" nothing
		code    postern.Code
		text    string
	}{
		{"stop", link.Command{Action: link.Stop}, `{}`, `{"Error":""}`, "", ""},
		{"restart of ngrok-rust", link.Command{Action: link.Restart}, `{}`, `{}`, "", ""},
		{"update", link.Command{Action: link.Update, Version: "2", PermitMajor: true}, `{"Version":"2","PermitMajorVersion":true}`, `{}`, "", ""},
		{"failed", link.Command{Action: link.Stop}, `{}`, `{"Error":"busy\n\nERR_NGROK_1\n"}`, postern.CodeCommandFailed, "busy"},
		{"nonsense", link.Command{Action: link.Stop}, `{}`, `hello`, postern.CodeCommandUnanswered, ""},
		{"silence", link.Command{Action: link.Stop}, `{}`, ``, postern.CodeCommandUnanswered, ""},
		{"unknown", link.Command{Action: "explode"}, ``, ``, postern.CodeCommandFailed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registrar := linktest.NewRegistrar(token)
				a := serve(t, registrar, sessionmsg.Dialect{})
				session := a.admit(registrar, link.Hello{}).Session
				answered := make(chan error, 1)
				go func() { answered <- session.Command(t.Context(), tt.command) }()
				if tt.request != "" {
					got := <-a.carrier.toAgent
					request := make([]byte, len(tt.request))
					if _, err := io.ReadFull(got.stream, request); err != nil || string(request) != tt.request {
						t.Errorf("the agent read %q, %v", request, err)
					}
					_, _ = io.WriteString(got.stream, tt.reply)
					defer got.stream.Close()
				}
				err := <-answered
				if tt.code == "" && err != nil || tt.code != "" && !postern.HasCode(err, tt.code) {
					t.Errorf("got %v, want %s", err, tt.code)
				}
				if tt.text != "" && postern.AsError(err).Message != tt.text {
					t.Errorf("the operator reads %q", postern.AsError(err).Message)
				}
				a.close()
			})
		})
	}
}

func TestCommandsThatTheAgentCannotDo(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	no := "running under\nsystemd"
	message := sessionmsg.NewAuth(link.Hello{Token: token}, nil)
	message.Extra.StopUnsupportedError = &no
	message.Extra.UpdateUnsupportedError = nil
	var response sessionmsg.AuthResp
	a.call(sessionmsg.TypeAuth, message, &response)
	admitted, err := registrar.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = admitted.Session.Command(t.Context(), link.Command{Action: link.Stop})
	if !postern.HasCode(err, postern.CodeStopUnsupported) || postern.AsError(err).Message != "running under systemd" {
		t.Errorf("got %v", err)
	}
	err = admitted.Session.Command(t.Context(), link.Command{Action: link.Update})
	if !postern.HasCode(err, postern.CodeUpdateUnsupported) || !strings.Contains(err.Error(), "too old") {
		t.Errorf("got %v", err)
	}
	a.close()
}

func TestCommandEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registrar := linktest.NewRegistrar(token)
		a := serve(t, registrar, sessionmsg.Dialect{})
		session := a.admit(registrar, link.Hello{}).Session
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := session.Command(ctx, link.Command{Action: link.Stop}); !postern.HasCode(err, postern.CodeCommandUnanswered) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		a.close()
	})
}

func TestStopEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registrar := linktest.NewRegistrar(token)
		a := serve(t, registrar, sessionmsg.Dialect{})
		session := a.admit(registrar, link.Hello{}).Session
		if err := session.StopEndpoint(t.Context(), "bind-1", postern.Errorf(postern.CodePortUnavailable, "gone")); err != nil {
			t.Fatal(err)
		}
		got := <-a.carrier.toAgent
		raw, err := io.ReadAll(got.stream)
		want := `{"Id":"bind-1","Message":"gone","ErrorCode":"` + string(postern.CodePortUnavailable.Entry().Wire) + `"}`
		if got.streamType != sessionmsg.TypeStopTunnel || string(raw) != want || err != nil {
			t.Errorf("type %d, %s, %v", got.streamType, raw, err)
		}
		// ngrok-go never closes its side: the stream is freed all the same.
		time.Sleep(time.Minute)
		if _, err := got.stream.Write([]byte("x")); err == nil {
			t.Error("the stream is still open")
		}
		got.stream.Close()
		a.close()
	})
}
