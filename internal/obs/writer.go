package obs

import "io"

// NewLineWriter returns a writer for whole lines with the manners of NewHandler's:
// a caller waits at most 100 ms when w blocks, further lines queue up to 1 MiB,
// then lines are dropped, and note is called with their number once w takes lines
// again (in a goroutine of its own; it may write). Other log formats are built on
// it.
func NewLineWriter(w io.Writer, note func(dropped uint64)) io.Writer {
	lines := newLineWriter(w)
	lines.note = note
	return lines
}
