package mux

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-dev/postern"
)

func TestHeaderVectors(t *testing.T) {
	tests := []struct {
		wire []byte
		want header
	}{
		{[]byte{0, 0, 4, 0x00, 0, 0, 0x28, 0x43}, header{4, kindReset, 0, 0x2843}},
		{[]byte{0, 0x37, 0xBD, 0x12, 0, 0, 0, 3}, header{0x37BD, kindData, flagSyn, 3}},
		{[]byte{0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF}, header{maxLength, 15, 15, maxStream}},
	}
	for _, test := range tests {
		if got := parseHeader(test.wire); got != test.want {
			t.Errorf("% x parsed as %+v, want %+v", test.wire, got, test.want)
		}
		if got := appendHeader(nil, test.want); !bytes.Equal(got, test.wire) {
			t.Errorf("%+v encoded as % x, want % x", test.want, got, test.wire)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0x12, 0, 0, 0, 3})
	f.Add(bytes.Repeat([]byte{0xFF}, headerSize))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) < headerSize {
			return
		}
		if got := appendHeader(nil, parseHeader(wire)); !bytes.Equal(got, wire[:headerSize]) {
			t.Errorf("% x came back as % x", wire[:headerSize], got)
		}
	})
}

func TestReasonsTravel(t *testing.T) {
	for _, why := range []*postern.Error{
		postern.Errorf(postern.CodeUpstreamUnreachable, "connection refused by %s", "127.0.0.1:80"),
		postern.Errorf(postern.CodeLinkDraining, "two\nlines"),
		postern.Errorf(postern.CodeInternal, "%s", strings.Repeat("ü", 2000)),
	} {
		wire := appendReason(nil, why)
		if len(wire) > maxReason || !utf8.Valid(wire) {
			t.Errorf("%d bytes for %d of text", len(wire), len(why.Message))
		}
		got := parseReason(wire)
		if got == nil || got.Code != why.Code || !strings.HasPrefix(why.Message, got.Message) {
			t.Errorf("%v arrived as %v", why, got)
		}
	}
	if got := appendReason(nil, postern.Errorf(postern.CodeInternal, "x").Because(bytes.ErrTooLarge)); bytes.Contains(got, []byte("too large")) {
		t.Errorf("the cause travels: %q", got)
	}
}

func FuzzReason(f *testing.F) {
	f.Add([]byte("ERR_POSTERN_104\ndraining"))
	f.Add([]byte("ERR_NGROK_"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		why := parseReason(wire)
		if why == nil {
			return
		}
		again := parseReason(appendReason(nil, why))
		if again == nil || again.Code != why.Code {
			t.Errorf("%q parsed as %v, then as %v", wire, why, again)
		}
	})
}
