package handover

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
)

// Whatever a process sends: no panic, nothing large is allocated, and what is read can
// be written and read again.
func FuzzMessages(f *testing.F) {
	for _, m := range []message{
		{Kind: kindHello, Version: Version, Release: "1.0"},
		{Kind: kindOffer, Lock: true, Listeners: []listenerName{{"listen.https", ":443", false}}},
		{Kind: kindPorts, Ports: []uint16{20000, 20001}, More: true},
		{Kind: kindRefusal, Code: postern.CodeServerBusy, Text: "not now"},
	} {
		text, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		m, err := readMessage(r)
		if err != nil {
			return
		}
		text, err := m.encode()
		if err != nil {
			return // longer than it came
		}
		again, err := readMessage(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%+v cannot be read again: %v", m, err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzStreams reads what begins the streams between two processes.
func FuzzStreams(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x12{\"Endpoint\":\"ep_\"}"))
	f.Add([]byte(`[{"Add":{"Endpoint":{"ID":"ep_1"},"Key":"k"}},{"Remove":"ep_2"},{"Complete":true}]`))
	f.Add([]byte("\x00\x00\x00\x05ERR_1"))
	f.Add(appendGreeting(nil, "abcdefghij12"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if head, first, err := readOpen(bytes.NewReader(raw)); err == nil && len(first) != head.First {
			t.Fatalf("%d bytes of %d", len(first), head.First)
		}
		if notices, err := parseNotices(raw); err == nil {
			for _, n := range notices {
				if n.Add != nil && n.Add.Endpoint.Options.KeyPEM.Reveal() != n.Add.Key {
					t.Fatal("the key is lost")
				}
			}
		}
		if refusal, err := readReply(bytes.NewReader(raw)); err == nil && refusal != nil && refusal.Code == "" {
			t.Fatal("a refusal without a code")
		}
		r := bytes.NewReader(raw)
		if id, err := readGreeting(r); err == nil {
			rest, _ := io.ReadAll(r)
			if want := append(appendGreeting(nil, id), rest...); !bytes.Equal(want, raw) {
				t.Fatalf("%q is not %q", want, raw)
			}
		}
	})
}
