package link

import (
	"errors"
	"io"
)

// Cause is why a session has ended, as its streams may tell it. However quietly the
// connection below ended, for them that is no clean end, io.EOF: nobody may take a part for
// the whole.
func Cause(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
