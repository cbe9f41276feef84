package eventstream_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern/server/policy/body/eventstream"
)

func keep(*eventstream.Event) error { return nil }

// streams are ones that mean the same to a client, and odd ones.
var streams = []string{
	"", "\n", "\r", "\r\n", "data: a\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n", "\ufeffdata: a\n\n", "\ufeff\n",
	": comment\n\n", "data\n\n", "data:\ndata: \ndata:  x\n\n", "id: 1\nevent: e\nretry: 10\ndata: {}\nunknown: field\n: c\n\n", "data: no end",
	"data: a\n\r\ndata: b\r\n\ndata: c\n\r", "\n\n\ndata: a\n\n\n\n", "data: a\x00\xff\n\n", "event: e\ndata: a\r\n\n", ":\n\n:", "data: a\r\n\r\n\r\n",
}

// Whatever is not changed stays as it is, however it is cut.
func FuzzReader(f *testing.F) {
	for _, s := range streams {
		f.Add(s, "value", false)
		f.Add(s, "two\nlines", true)
	}
	f.Fuzz(func(t *testing.T, text, value string, change bool) {
		for _, source := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text))} {
			got, err := io.ReadAll(eventstream.NewReader(source, keep))
			if string(got) != text || err != nil {
				t.Errorf("%q became %q, %v", text, got, err)
			}
		}
		if !change {
			return
		}
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(value)
		changed, err := io.ReadAll(eventstream.NewReader(strings.NewReader(text), func(e *eventstream.Event) error {
			if _, ok := e.Field("data"); !ok {
				return nil
			}
			return e.Set("data", value)
		}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(eventstream.NewReader(strings.NewReader(string(changed)), func(e *eventstream.Event) error {
			if got, ok := e.Field("data"); ok && got != want {
				t.Errorf("%q in %q became %q in %q", value, text, got, changed)
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestEventsAreRead(t *testing.T) {
	type event struct{ data, kind, id, retry string }
	for text, want := range map[string][]event{
		"data: a\n\n":                           {{data: "a"}},
		"data:a\ndata: b\ndata\ndata:  c\n\n":   {{data: "a\nb\n\n c"}},
		"data: a\r\n\r\ndata: b\r\r":            {{data: "a"}, {data: "b"}},
		"\ufeffdata: a\n\ndata: b\n\n":          {{data: "a"}, {data: "b"}},
		"id: 1\nid: 2\nevent: e\nretry: 10\n\n": {{id: "2", kind: "e", retry: "10"}},
		": ping\n\n\n\ndata: x: y\n\n":          {{data: "x: y"}},
		"Data: a\n\n data: b\n\n":               {{}, {}},
		"data: unfinished":                      {{data: "unfinished"}},
	} {
		var got []event
		_, err := io.ReadAll(eventstream.NewReader(iotest.OneByteReader(strings.NewReader(text)), func(e *eventstream.Event) error {
			var g event
			g.data, _ = e.Field("data")
			g.kind, _ = e.Field("event")
			g.id, _ = e.Field("id")
			g.retry, _ = e.Field("retry")
			got = append(got, g)
			return nil
		}))
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %v, want %v, %v", text, got, want, err)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	}
}

func TestFieldsAreSet(t *testing.T) {
	for _, test := range []struct{ text, name, value, want string }{
		{"id: 1\ndata: a\nx: y\ndata: b\n\n", "data", "c", "id: 1\ndata: c\nx: y\n\n"},
		{"data:a\r\nid:1\r\n\r\n", "data", "c\nd", "data:c\r\ndata:d\r\nid:1\r\n\r\n"},
		{"data:a\n\n", "data", " c", "data:  c\n\n"},
		{"data\n\n", "data", "c", "data: c\n\n"},
		{"\ufeffdata: a\n\n", "data", "c\nd", "\ufeffdata: c\ndata: d\n\n"},
		{"data: a\n\n", "retry", "500", "data: a\nretry: 500\n\n"},
		{"data: a", "data", "c", "data: c"},
		{"data: a", "data", "c\nd", "data: c\ndata: d"},
		{"id: 1", "data", "c", "id: 1\ndata: c\n"},
		{"data: a\ndata: b\n\n", "data", "a\nb", "data: a\ndata: b\n\n"},
		{"data: a\n\n", "data", "", "data: \n\n"},
		{"data: a\n\n", "data", "x\r\revent: e", "data: x\ndata: \ndata: event: e\n\n"},
	} {
		got, err := io.ReadAll(eventstream.NewReader(strings.NewReader(test.text), func(e *eventstream.Event) error {
			return e.Set(test.name, test.value)
		}))
		if string(got) != test.want || err != nil {
			t.Errorf("%q: got %q, want %q, %v", test.text, got, test.want, err)
		}
	}
	_, err := io.ReadAll(eventstream.NewReader(strings.NewReader("retry: 1\n\n"), func(e *eventstream.Event) error {
		return e.Set("retry", "1\n\ndata: forged")
	}))
	if err == nil {
		t.Error("a value has begun another field")
	}
}

// An event goes on as soon as its end has come, also where that may be half of a CRLF.
func TestEventsAreNotWithheld(t *testing.T) {
	for _, sent := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r\n", "data: a\r\n\r", ": ping\n\n"} {
		in, out := io.Pipe()
		go func() { _, _ = out.Write([]byte(sent)) }()
		r := eventstream.NewReader(in, keep)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != sent {
			t.Errorf("%q: %q, %v", sent, got, err)
		}
		go func() { _, _ = out.Write([]byte("\ndata: b\n\n")); out.Close() }()
		if rest, err := io.ReadAll(r); string(rest) != "\ndata: b\n\n" || err != nil {
			t.Errorf("%q: %q, %v", sent, rest, err)
		}
	}
}

func TestLongEventsEndTheStream(t *testing.T) {
	text := "data: short\n\ndata: " + strings.Repeat("x", eventstream.Longest) + "\n\n"
	got, err := io.ReadAll(eventstream.NewReader(strings.NewReader(text), keep))
	if !errors.Is(err, eventstream.ErrLong) || string(got) != "data: short\n\n" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Many short blocks behind a long one cost what they are long: not each what was read.
func TestShortBlocksAreCheap(t *testing.T) {
	text := "data: " + strings.Repeat("x", eventstream.Longest-100) + "\n\n" + strings.Repeat("\n", 4<<20)
	n, err := io.Copy(io.Discard, eventstream.NewReader(strings.NewReader(text), keep))
	if n != int64(len(text)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestErrorsEndTheStream(t *testing.T) {
	refused, broken := errors.New("refused"), errors.New("broken")
	if _, err := io.ReadAll(eventstream.NewReader(strings.NewReader("data: a\n\n"), func(*eventstream.Event) error { return refused })); !errors.Is(err, refused) {
		t.Error(err)
	}
	got, err := io.ReadAll(eventstream.NewReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)), keep))
	if !errors.Is(err, broken) || string(got) != "data: a\n\n" {
		t.Errorf("%q, %v", got, err)
	}
}
