package handover

import (
	"fmt"
	"io"

	"github.com/postern-dev/postern"
)

// A link between two processes begins with a line from each: the protocol's name and
// version, and the process's id.
const (
	greetingName = "postern-process/1 "
	idSize       = 12
	greetingSize = len(greetingName) + idSize + 1
)

func appendGreeting(b []byte, id string) []byte {
	return append(append(append(b, greetingName...), id...), '\n')
}

// readGreeting reads the other's line and gives its id.
func readGreeting(r io.Reader) (id string, err error) {
	var b [greetingSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", err
	}
	name, id, end := string(b[:len(greetingName)]), string(b[len(greetingName):greetingSize-1]), b[greetingSize-1]
	if name != greetingName || end != '\n' {
		return "", postern.Errorf(postern.CodeProtocolViolation, "the other process greets with %q; is it another version?", b[:])
	}
	for _, c := range id {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "", postern.Errorf(postern.CodeProtocolViolation, "the other process has the id %q", fmt.Sprint(id))
		}
	}
	return id, nil
}
