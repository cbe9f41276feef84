package sessionmsg

import (
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
)

const (
	ngrokCode   = "ERR_NGROK_"
	posternCode = "ERR_POSTERN_"

	// maxErrorText bounds what is kept of a peer's words.
	maxErrorText = 4 << 10
)

// ErrorText is err as the Error field of a reply: the message, a blank line, and
// the code on a line of its own, which is where SDKs look for it. Where the code
// is ours, ngrok's nearest comes first (SDKs know no other) and ours on the next
// line. nil gives "".
func ErrorText(err *postern.Error) string {
	if err == nil {
		return ""
	}
	wire := err.Code.Entry().Wire
	text := oneLine(err.Text())
	if text == "" || isCode(text, ngrokCode) || isCode(text, posternCode) {
		text = err.Code.Entry().Title // a line of its own would count as the code
	}
	text += "\n\n" + string(wire) + "\n"
	if err.Code != wire {
		text += string(err.Code) + "\n"
	}
	return text
}

// ParseErrorText is the reverse of ErrorText: nil for "". A text without a code
// gets fallback; where both kinds of code are given, ours counts. The message is
// the peer's and untrusted: it is cut to 4 KiB and holds no control characters.
func ParseErrorText(text string, fallback postern.Code) *postern.Error {
	if text == "" {
		return nil
	}
	var words []string
	var ngrok, ours postern.Code
	for line := range strings.Lines(clip(text)) {
		line = strings.TrimSpace(line)
		switch {
		case isCode(line, posternCode):
			ours = postern.Code(line)
		case isCode(line, ngrokCode):
			ngrok = postern.Code(line)
		case line != "":
			words = append(words, line)
		}
	}
	coded := &postern.Error{Code: fallback, Message: oneLine(strings.Join(words, " "))}
	if ngrok != "" {
		coded.Code = ngrok
	}
	if ours != "" {
		coded.Code = ours
	}
	return coded
}

// isCode tells whether line is prefix and a number, nothing else.
func isCode(line, prefix string) bool {
	digits, found := strings.CutPrefix(line, prefix)
	if !found || digits == "" || len(digits) > 6 {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// oneLine makes text safe to stand above the code's line, and to be shown on a
// terminal.
func oneLine(text string) string {
	cleaned := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(cleaned)
}

func clip(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "")
}
