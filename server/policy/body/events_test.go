package body_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/body/eventstream"
)

func TestFieldsOfEventsAreReplaced(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "retry: 100\ndata: my secret\ndata: secrets\n\n: a secret comment\n\nid: secret\n\n")
	_ = z.Close()
	h := headerOf("Content-Encoding", "gzip", "Content-Type", "text/event-stream")
	secret, all := replacements(t, "secret", "$0!"), replacements(t, "^.*$", "1\n2")
	changed, err := body.Events(h, &packed, body.NewBudget(8<<20), func(e *eventstream.Event) error {
		return body.ReplaceField(e, "data", secret[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(changed)
	if want := "retry: 100\ndata: my secret!\ndata: secret!s\n\n: a secret comment\n\nid: secret\n\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if h.Get("Content-Encoding") != "" || changed.Length != -1 {
		t.Errorf("%v, length %d", h, changed.Length)
	}
	changed, err = body.Events(headerOf(), strings.NewReader("retry: 100\n\n"), body.NewBudget(0), func(e *eventstream.Event) error {
		return body.ReplaceField(e, "retry", all[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	var coded *postern.Error
	if _, err := io.ReadAll(changed); !errors.As(err, &coded) || coded.Code != postern.CodeBodyUnchangeable {
		t.Error(err)
	}
}
