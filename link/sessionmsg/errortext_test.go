package sessionmsg_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestErrorText(t *testing.T) {
	tests := []struct {
		name string
		err  *postern.Error
		want string
	}{
		{"none", nil, ""},
		{"ngrok's code", postern.Errorf(postern.CodeTokenMalformed, "bad token"), "bad token\n\nERR_NGROK_105\n"},
		{"a code of ours stands beside ngrok's", postern.Errorf(postern.CodeProtocolViolation, "no"), "no\n\nERR_NGROK_301\nERR_POSTERN_101\n"},
		{"no message: the catalogue's title", &postern.Error{Code: postern.CodeAlreadyOnline}, "The endpoint is already online\n\nERR_NGROK_334\n"},
		{"a message cannot forge a code", postern.Errorf(postern.CodeBindInvalid, "x\nERR_NGROK_999\ny"), "x ERR_NGROK_999 y\n\nERR_NGROK_301\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sessionmsg.ErrorText(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseErrorText(t *testing.T) {
	tests := []struct {
		name, text string
		code       postern.Code
		message    string
	}{
		{"ngrok's", "bad token\n\nERR_NGROK_105\n", "ERR_NGROK_105", "bad token"},
		{"carriage returns", "bad token\r\n\r\nERR_NGROK_105\r\n", "ERR_NGROK_105", "bad token"},
		{"ours counts", "no\n\nERR_NGROK_301\nERR_POSTERN_101\n", postern.CodeProtocolViolation, "no"},
		{"no code", "it broke", postern.CodeCommandFailed, "it broke"},
		{"a code inside a line is no code", "see ERR_NGROK_105 there", postern.CodeCommandFailed, "see ERR_NGROK_105 there"},
		{"several lines", "one\ntwo\n\nERR_NGROK_8012", "ERR_NGROK_8012", "one two"},
		{"control characters", "a\x1b[31mb\x00", postern.CodeCommandFailed, "a [31mb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sessionmsg.ParseErrorText(tt.text, postern.CodeCommandFailed)
			if got.Code != tt.code || got.Message != tt.message {
				t.Errorf("got %q %q", got.Code, got.Message)
			}
		})
	}
	if got := sessionmsg.ParseErrorText("", postern.CodeInternal); got != nil {
		t.Errorf("no text gave %v", got)
	}
	if got := sessionmsg.ParseErrorText(strings.Repeat("ä", 1<<20), postern.CodeInternal); len(got.Message) > 8<<10 {
		t.Errorf("%d bytes of a peer's words were kept", len(got.Message))
	}
}

// What one side says the other hears: code and words, whatever the words are.
func FuzzErrorText(f *testing.F) {
	f.Add("bad token", "ERR_NGROK_105")
	f.Add("line\nERR_NGROK_1\nline", "ERR_POSTERN_101")
	f.Add("  \x00 ", "ERR_POSTERN_205")
	f.Fuzz(func(t *testing.T, message, code string) {
		if entry := postern.Code(code).Entry(); entry.Title == postern.CodeInternal.Entry().Title || len(message) > 1000 {
			return
		}
		text := sessionmsg.ErrorText(&postern.Error{Code: postern.Code(code), Message: message})
		heard := sessionmsg.ParseErrorText(text, "ERR_NGROK_1")
		if heard.Code != postern.Code(code) {
			t.Fatalf("%q lost its code: %v", text, heard)
		}
		once := heard
		again := sessionmsg.ParseErrorText(sessionmsg.ErrorText(once), "ERR_NGROK_1")
		if once.Message != again.Message || once.Code != again.Code {
			t.Fatalf("%q: %v became %v", text, once, again)
		}
	})
}
