package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// harmless makes one line of a stranger's text that cannot drive a terminal: control
// characters, those that turn the direction of writing or have no width, and bytes
// that are no UTF-8 are spelled out. What is left of a text of many megabytes is its
// beginning: nobody sees more than mostShown characters.
func harmless(text string) string { return spelled(text, mostShown) }

// Harmless is one line of a stranger's text that cannot drive the terminal that it is
// printed to: control characters, line ends, those that turn the direction of writing
// or have no width, and bytes that are no UTF-8 are spelled out.
func Harmless(text string) string { return spelled(text, len(text)) }

// spelled spells out the beginning of a text, up to most characters.
func spelled(text string, most int) string {
	var safe strings.Builder
	shown := 0
	for i, r := range text {
		if shown == most {
			break
		}
		shown++
		switch {
		case unicode.Is(unicode.Variation_Selector, r): // says how wide the one before is, and terminals differ in that
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&safe, `\x%02x`, text[i])
		case r == '\n':
			safe.WriteString(`\n`)
		case r == '\r':
			safe.WriteString(`\r`)
		case r == '\t':
			safe.WriteByte(' ')
		case unicode.IsPrint(r) && !unicode.IsMark(r):
			safe.WriteRune(r)
		case unicode.IsMark(r) && marked(safe.String()):
			safe.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&safe, `\x%02x`, r)
		default:
			fmt.Fprintf(&safe, `\u{%x}`, r)
		}
	}
	return safe.String()
}

// mostShown is more than a line of the widest terminal holds.
const mostShown = 1024

// marked tells whether one more combining mark may follow a text: scripts need a few
// to a letter, and heaps of them cover the lines around. What is no letter needs none.
func marked(text string) bool {
	const mostMarks = 3
	for range mostMarks {
		r, size := utf8.DecodeLastRuneInString(text)
		if !unicode.IsMark(r) {
			return size > 0 && unicode.IsLetter(r)
		}
		text = text[:len(text)-size]
	}
	return false
}

// columns is how many cells of a terminal a harmless text takes.
func columns(text string) int { return ansi.StringWidth(text) }

// cut shortens a harmless text to that many cells, and says that it did.
func cut(text string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(text, width, "…")
}

// pad fills a harmless text up to that many cells, and cuts what is longer.
func pad(text string, width int) string {
	text = cut(text, width)
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}

// wrap breaks a harmless text between words, and words that are longer than a line
// anywhere, into at most most lines of that many cells; blanks are one.
func wrap(text string, width, most int) []string {
	if width <= 0 || most <= 0 {
		return nil
	}
	var lines []string
	current := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case current == "":
			current = word
		case columns(current+" "+word) <= width:
			current += " " + word
		default:
			lines, current = append(lines, current), word
		}
		for columns(current) > width && len(lines) < most {
			start := ansi.Truncate(current, width, "")
			if start == "" { // not even one character fits
				return lines
			}
			lines, current = append(lines, start), current[len(start):]
		}
		if len(lines) == most { // and there is more
			lines[most-1] = cut(lines[most-1]+" "+current+"…", width)
			return lines
		}
	}
	return append(lines, current)
}
