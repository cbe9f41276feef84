package sessionmsg_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestReadIgnoresCaseAndUnknownKeys(t *testing.T) {
	// ngrok-rust writes AuthToken, ngrok-go Authtoken.
	const message = `{"version":["2"],"CLIENTID":"c","Extra":{"AuthToken":"t","NewThing":{"a":[1]},"useragent":"u"}}`
	var auth sessionmsg.Auth
	if err := sessionmsg.Read(strings.NewReader(message), &auth); err != nil {
		t.Fatal(err)
	}
	if auth.ClientID != "c" || auth.Extra.Authtoken != "t" || auth.Extra.UserAgent != "u" || auth.ChosenVersion() != "2" {
		t.Errorf("read %#v", auth)
	}
}

func TestReadStopsAtTheObjectsEnd(t *testing.T) {
	// ngrok-rust keeps its side open while it waits for the reply.
	blocked := errors.New("read beyond the object")
	r := io.MultiReader(strings.NewReader(`{"Region":"r"}`), iotest.ErrReader(blocked))
	var info sessionmsg.SrvInfoResp
	if err := sessionmsg.Read(iotest.OneByteReader(r), &info); err != nil || info.Region != "r" {
		t.Errorf("got %v, %+v", err, info)
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct{ name, message string }{
		{"a list", `[]`},
		{"null", `null`},
		{"a number", `1`},
		{"half an object", `{"Region":`},
		{"no JSON", `hello`},
		{"a wrong type", `{"Region":1}`},
		{"too deep", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`},
		{"too deep, brackets in a string too", `{"x":"]]]\"]]","y":` + strings.Repeat(`{"a":`, 80) + `1` + strings.Repeat("}", 80) + `}`},
		{"too long", `{"Region":"` + strings.Repeat("x", sessionmsg.MaxMessage) + `"}`},
		{"endless", strings.Repeat(" ", sessionmsg.MaxMessage+10)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var info sessionmsg.SrvInfoResp
			err := sessionmsg.Read(strings.NewReader(tt.message), &info)
			if !postern.HasCode(err, postern.CodeProtocolViolation) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestReadAllowsBracketsInStrings(t *testing.T) {
	var info sessionmsg.SrvInfoResp
	message := `{"Region":"` + strings.Repeat("[{", 200) + `\""}`
	if err := sessionmsg.Read(strings.NewReader(message), &info); err != nil {
		t.Error(err)
	}
}

func TestReadKeepsTheTransportsErrors(t *testing.T) {
	lost := &postern.Error{Code: postern.CodeLinkLost}
	for _, want := range []error{io.EOF, os.ErrDeadlineExceeded, lost} {
		var v sessionmsg.SrvInfo
		if err := sessionmsg.Read(iotest.ErrReader(want), &v); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestReadErrorsQuoteNoSecrets(t *testing.T) {
	var auth sessionmsg.Auth
	err := sessionmsg.Read(strings.NewReader(`{"Extra":{"Authtoken":12345678}}`), &auth)
	if err == nil || strings.Contains(err.Error(), "1234") || !strings.Contains(err.Error(), "Authtoken") {
		t.Errorf("got %v", err)
	}
}

func TestEncodeRefusesWhatThePeerWould(t *testing.T) {
	big := sessionmsg.StopTunnel{Message: strings.Repeat("x", sessionmsg.MaxMessage)}
	if err := sessionmsg.Write(io.Discard, big); !postern.HasCode(err, postern.CodeProtocolViolation) {
		t.Errorf("got %v", err)
	}
}

func TestTokensPrintAsAMask(t *testing.T) {
	auth := sessionmsg.Auth{Extra: sessionmsg.AuthExtra{Authtoken: "hush-hush"}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, auth); strings.Contains(text, "hush") {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

// A message that was accepted is accepted again in our own spelling, and means
// the same: what we log, echo or forward is what the agent said.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"Version":["3","2"],"ClientId":"","Extra":{"Authtoken":"t","LegNumber":1,"UpdateUnsupportedError":null}}`))
	f.Add([]byte(`{"Id":"x","Proto":"https","Opts":{"URL":"https://a.test"},"Extra":{"Bindings":["public"]}}`))
	f.Add([]byte(`{"Labels":{"a":"b"}}`))
	f.Add([]byte(`{"TunnelId":"ep","Name":null}`))
	f.Add([]byte(`{"x":[[[[[[{}]]]]]]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, make := range []func() any{
			func() any { return new(sessionmsg.Auth) },
			func() any { return new(sessionmsg.Bind) },
			func() any { return new(sessionmsg.Unbind) },
			func() any { return new(sessionmsg.StartTunnelWithLabel) },
			func() any { return new(sessionmsg.PatchTunnelState) },
			func() any { return new(sessionmsg.AuthResp) },
			func() any { return new(sessionmsg.Update) },
		} {
			first := make()
			if sessionmsg.Read(bytes.NewReader(raw), first) != nil {
				continue
			}
			once, err := sessionmsg.Encode(first)
			if err != nil {
				continue // escaping may have made it too long
			}
			second := make()
			if err := sessionmsg.Decode(once, second); err != nil {
				t.Fatalf("%s was accepted, its encoding %s not: %v", raw, once, err)
			}
			twice, err := sessionmsg.Encode(second)
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%s became %s, then %s (%v)", raw, once, twice, err)
			}
		}
	})
}
