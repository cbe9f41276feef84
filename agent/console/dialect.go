package console

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
)

// FirstGeneration returns the Handler with the lines of a session as agents without a
// configuration version wrote them: the tunnel's session first, then the client's,
// under a name of its own. Programs of that time wait for obj=csess.
func (h *Handler) FirstGeneration() *Handler {
	with := *h
	with.first = true
	return &with
}

// inFirstGeneration swaps the two lines, which always come as a pair.
func inFirstGeneration(r slog.Record, fields []field) (slog.Record, []field) {
	switch r.Message {
	case "client session established":
		r.Message = "tunnel session started"
	case "tunnel session started":
		r.Message = "client session established"
		var id [6]byte
		_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
		fields = []field{{"obj", slog.StringValue("csess")}, {"id", slog.StringValue(hex.EncodeToString(id[:]))}}
	}
	return r, fields
}

// In returns the Handler with lines of another format, to the same place.
func (h *Handler) In(format Format) *Handler {
	with := *h
	with.format = format
	if format == Term && !h.colour {
		with.format = Logfmt
	}
	return &with
}
