package sessionmsg_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestSrvInfoBeforeAuth(t *testing.T) {
	a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{})
	var info sessionmsg.SrvInfoResp
	a.call(sessionmsg.TypeSrvInfo, sessionmsg.SrvInfo{}, &info)
	if info.Region != "test" {
		t.Errorf("region %q", info.Region)
	}
	a.close()
}

func TestARequestBeforeAuthEndsTheSession(t *testing.T) {
	a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{})
	defer a.open(sessionmsg.TypeBind).Close()
	a.ended(postern.CodeProtocolViolation)
}

func TestAuthInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{})
		start := time.Now()
		a.ended(postern.CodeRequestTimeout)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// B5-33: who speaks no version of ours is told which end is to be updated.
func TestAuthRefused(t *testing.T) {
	tests := []struct {
		name string
		auth sessionmsg.Auth
		code postern.Code
	}{
		{"no token", sessionmsg.NewAuth(link.Hello{}, nil), postern.CodeTokenMalformed},
		{"wrong token", sessionmsg.NewAuth(link.Hello{Token: "wrong"}, nil), postern.CodeTokenInvalid},
		{"older versions", sessionmsg.Auth{Version: []string{"1", "0"}}, postern.CodeAgentTooOld},
		{"no version", sessionmsg.Auth{}, postern.CodeAgentTooOld},
		{"newer versions", sessionmsg.Auth{Version: []string{"9", "4"}}, postern.CodeServerTooOld},
		{"a leg beyond reason", sessionmsg.NewAuth(link.Hello{Token: token, Leg: 99}, nil), postern.CodeProtocolViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{})
				start := time.Now()
				var response sessionmsg.AuthResp
				a.call(sessionmsg.TypeAuth, tt.auth, &response)
				if _, err := response.Welcome(); !postern.HasCode(err, tt.code) {
					t.Errorf("the agent heard %q, want %s", response.Error, tt.code)
				}
				if response.Version == "" {
					t.Error("ngrok-rust cannot read a reply without Version")
				}
				a.ended(tt.code)
				// The answer had time to arrive, and a client that stays is cut off.
				if took := time.Since(start); took <= 0 || took > 5*time.Second {
					t.Errorf("the connection was closed after %v", took)
				}
			})
		})
	}
}

func TestAuthTwiceEndsTheSession(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	a.admit(registrar, link.Hello{})
	stream := a.open(sessionmsg.TypeAuth)
	defer stream.Close()
	if err := sessionmsg.Write(stream, sessionmsg.NewAuth(link.Hello{Token: token}, nil)); err != nil {
		t.Fatal(err)
	}
	a.ended(postern.CodeProtocolViolation)
}

func TestABugEndsOneSessionOnly(t *testing.T) {
	a := serve(t, panicking{linktest.NewRegistrar(token)}, sessionmsg.Dialect{})
	stream := a.open(sessionmsg.TypeAuth)
	defer stream.Close()
	if err := sessionmsg.Write(stream, sessionmsg.NewAuth(link.Hello{Token: token}, nil)); err != nil {
		t.Fatal(err)
	}
	a.ended(postern.CodeInternal)
}

func TestHelloArrives(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{Transport: "test/1"})
	want := link.Hello{
		Token: token, ClientID: "old", Cookie: "wrong", Leg: 2, Heartbeat: 10 * time.Second, Tolerance: 15 * time.Second,
		Agent:       postern.AgentInfo{ClientType: "ct", UserAgent: "ua", Version: "v", OS: "os", Arch: "a", Hostname: "h", Metadata: "m"},
		Unsupported: map[link.Action]string{link.Update: "built from source"},
	}
	admitted := a.admit(registrar, want)
	got := admitted.Hello
	if got.Agent != want.Agent || got.Token != want.Token || got.ClientID != "old" || got.Cookie != "wrong" || got.Leg != 2 ||
		got.Heartbeat != want.Heartbeat || got.Tolerance != want.Tolerance ||
		len(got.Unsupported) != 1 || got.Unsupported[link.Update] != "built from source" {
		t.Errorf("got %+v", got)
	}
	if admitted.Session.Transport() != "test/1" {
		t.Errorf("transport %q", admitted.Session.Transport())
	}
	a.close()
	<-admitted.Released()
	if !postern.HasCode(admitted.Why(), postern.CodeLinkLost) {
		t.Errorf("released because of %v", admitted.Why())
	}
}

func TestBindUnbindPatch(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	admitted := a.admit(registrar, link.Hello{})

	var bound sessionmsg.BindResp
	a.call(sessionmsg.TypeBind, bind("https", `{"URL":"https://a.test"}`), &bound)
	if bound.Error != "" || bound.URL != "https://a.test" {
		t.Fatalf("got %+v", bound)
	}
	name := "new"
	var patched sessionmsg.PatchTunnelStateResp
	a.call(sessionmsg.TypePatch, sessionmsg.PatchTunnelState{TunnelID: bound.Extra.TunnelID, Name: &name}, &patched)
	if patches := admitted.Patches(); patched.Error != "" || len(patches) != 1 || *patches[0].Name != "new" || patches[0].Metadata != nil {
		t.Errorf("got %q, %+v", patched.Error, patches)
	}
	a.call(sessionmsg.TypePatch, sessionmsg.PatchTunnelState{TunnelID: "ep_none"}, &patched)
	if !postern.HasCode(sessionmsg.ParseErrorText(patched.Error, ""), postern.CodeEndpointUnknown) {
		t.Errorf("got %q", patched.Error)
	}
	for range 2 { // SDKs close twice
		var unbound sessionmsg.UnbindResp
		a.call(sessionmsg.TypeUnbind, sessionmsg.Unbind{ID: bound.ID}, &unbound)
		if unbound.Error != "" {
			t.Error(unbound.Error)
		}
	}
	if left := admitted.Bound(); len(left) != 0 {
		t.Errorf("still online: %v", left)
	}
	a.close()
}

func TestBindErrorsAreReplies(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	a.admit(registrar, link.Hello{})
	tests := []struct {
		name    string
		request any
		code    postern.Code
	}{
		{"an option that we lack", bind("tls", `{"TLSTermination":{"cert":"YQ==","sealed_key":"YQ=="}}`), postern.CodeOptionUnsupported},
		{"a bad name", bind("https", `{"URL":"https://a b.test"}`), postern.CodeHostnameInvalid},
		{"no message", map[string]any{"Proto": 1}, postern.CodeProtocolViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var response sessionmsg.BindResp
			a.call(sessionmsg.TypeBind, tt.request, &response)
			if err := sessionmsg.ParseErrorText(response.Error, ""); !postern.HasCode(err, tt.code) {
				t.Errorf("got %q, want %s", response.Error, tt.code)
			}
		})
	}
	var labelled sessionmsg.StartTunnelWithLabelResp
	a.call(sessionmsg.TypeStartLabel, sessionmsg.StartTunnelWithLabel{Labels: map[string]string{"edge": "e"}}, &labelled)
	if err := sessionmsg.ParseErrorText(labelled.Error, ""); !postern.HasCode(err, postern.CodeOptionUnsupported) {
		t.Errorf("got %q", labelled.Error)
	}
	a.close()
}

func TestRepliesEndTheirStream(t *testing.T) {
	// ngrok-rust reads a reply to its end and does not close its own side before.
	a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{})
	stream := a.open(sessionmsg.TypeSrvInfo)
	defer stream.Close()
	if _, err := io.WriteString(stream, `{}`); err != nil {
		t.Fatal(err)
	}
	if reply, err := io.ReadAll(stream); err != nil || string(reply) != `{"Region":"test"}` {
		t.Errorf("got %q, %v", reply, err)
	}
	a.close()
}

func TestUnknownStreamsAreResetAlone(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	a.admit(registrar, link.Hello{})
	for _, streamType := range []uint32{sessionmsg.TypeAgentMetrics, sessionmsg.TypeProxy, 12, 1 << 31} {
		stream := a.open(streamType)
		if _, err := io.ReadAll(stream); err == nil {
			t.Errorf("a stream of type %d ended in order", streamType)
		}
		stream.Close()
	}
	var unbound sessionmsg.UnbindResp
	a.call(sessionmsg.TypeUnbind, sessionmsg.Unbind{ID: "x"}, &unbound)
	a.close()
}

func TestABindThatCannotBeToldIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registrar := linktest.NewRegistrar(token)
		a := serve(t, registrar, sessionmsg.Dialect{
			Request: (*sessionmsg.Bind).Request,
			Reply: func(*sessionmsg.Bind, link.Bound) (sessionmsg.BindResp, error) {
				return sessionmsg.BindResp{}, io.ErrClosedPipe
			},
		})
		admitted := a.admit(registrar, link.Hello{})
		stream := a.open(sessionmsg.TypeBind)
		if err := sessionmsg.Write(stream, bind("https", `{}`)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(stream)
		stream.Close()
		synctest.Wait()
		if left := admitted.Bound(); len(left) != 0 {
			t.Errorf("still online: %v", left)
		}
		a.close()
	})
}

func TestASlowRequestIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registrar := linktest.NewRegistrar(token)
		a := serve(t, registrar, sessionmsg.Dialect{})
		a.admit(registrar, link.Hello{})
		stream := a.open(sessionmsg.TypeUnbind)
		start := time.Now()
		_, _ = io.WriteString(stream, `{"Id":`)
		reply, _ := io.ReadAll(stream)
		stream.Close()
		if took := time.Since(start); took > time.Minute {
			t.Errorf("held for %v (%q)", took, reply)
		}
		a.close()
	})
}
