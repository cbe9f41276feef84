package gate

import (
	"encoding/base64"
	"strings"
)

// mostPresented bounds a value that can be a credential: the longest name and password of
// four bytes a character, in base64, and the scheme.
const mostPresented = 1024

// presented is a name and a password as a visitor sent them.
type presented struct {
	username string
	pair     []byte // both, with the colon
}

// parseBasic reads the value of Authorization (RFC 7617): the scheme in any case, one
// space at least, and base64 as RFC 4648 §4 has it, padded. What it does not take exactly
// is none: a gate that read more than its neighbours would take theirs for its own.
func parseBasic(value string) (p presented, ok bool) {
	if len(value) > mostPresented || !isBasic(value) {
		return presented{}, false
	}
	token := strings.TrimLeft(value[len("Basic "):], " ")
	if strings.ContainsAny(token, "\r\n") { // which decoders skip
		return presented{}, false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return presented{}, false
	}
	username, _, found := strings.Cut(string(decoded), ":")
	if !found {
		return presented{}, false
	}
	return presented{username: username, pair: decoded}, true
}

// isBasic tells whether a value is of the scheme Basic.
func isBasic(value string) bool {
	return len(value) >= len("Basic ") && strings.EqualFold(value[:len("Basic ")], "Basic ")
}

// ambiguous tells whether somebody else could read other credentials from these lines
// than the gate does. The header has one line and one value (RFC 9110 §11.6.2); values of
// other schemes may have commas.
func ambiguous(lines []string) bool {
	return len(lines) > 1 || len(lines) == 1 && isBasic(lines[0]) && strings.Contains(lines[0], ",")
}
