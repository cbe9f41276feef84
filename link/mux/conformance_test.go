package mux_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/mux"
)

// headerType is the stream type of the adapter below.
const headerType = 3

// opener and acceptor are the least adapter: a length and link.Header as JSON.
type opener struct{ *mux.Session }

func (o opener) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	st, err := o.Session.Open(ctx, headerType, binary.BigEndian.AppendUint16(nil, uint16(len(head))), head, first)
	if err != nil {
		return nil, err
	}
	return st, nil
}

type acceptor struct{ session *mux.Session }

func (a acceptor) Accept(ctx context.Context) (h link.Header, _ link.Stream, err error) {
	_, st, err := a.session.Accept(ctx)
	if err != nil {
		return h, nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(st, size[:]); err != nil {
		return h, nil, err
	}
	head := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(st, head); err != nil {
		return h, nil, err
	}
	return h, st, json.Unmarshal(head, &h)
}

func TestConformance(t *testing.T) {
	plain := mux.Config{}
	rich := mux.Config{RichResets: true, Window: 256 << 10, MaxWindow: 4 << 20}
	for name, config := range map[string]mux.Config{"muxado": plain, "rich": rich} {
		t.Run(name, func(t *testing.T) {
			linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
				a, b := testkit.Pipe()
				return ends(a, b, config)
			})
		})
	}
	t.Run("tcp", func(t *testing.T) {
		linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
			a, b := loopback(t)
			return ends(a, b, rich)
		})
	})
	t.Run("tls", func(t *testing.T) {
		linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
			a, b := loopback(t)
			client, server := testkit.TLSPair(t, a, b, "test")
			return ends(client, server, rich)
		})
	})
}
