package expression

import "strings"

// scanner finds the expressions of a template.
type scanner struct {
	text string
	at   int
}

// next gives the text up to the next expression, with its escapes undone, the expression,
// and the byte that this begins at, which is below 0 behind the last.
func (s *scanner) next() (plain, inner string, at int, problem *Problem) {
	var out strings.Builder
	for {
		rest := s.text[s.at:]
		found := strings.Index(rest, "${")
		if found < 0 {
			out.WriteString(rest)
			s.at = len(s.text)
			return out.String(), "", -1, nil
		}
		if found > 0 && rest[found-1] == '$' {
			out.WriteString(rest[:found-1] + "${")
			s.at += found + 2
			continue
		}
		out.WriteString(rest[:found])
		begin := s.at + found + 2
		end := closing(s.text[begin:])
		if end < 0 {
			line, column := position(s.text, begin-2)
			return "", "", -1, &Problem{line, column, "this ${ has no } that ends it; write $${ for ${ itself"}
		}
		s.at = begin + end + 1
		return out.String(), s.text[begin : begin+end], begin, nil
	}
}

// closing is where the brace is that ends an expression: not one of a map, and not one
// within a text. It is below 0 if there is none.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'':
			i = skipText(text, i)
		}
	}
	return -1
}

// skipText is the last byte of the text in quotes that begins at i: 'x', """x""", r'x\'.
func skipText(text string, i int) int {
	quote := text[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[i:], triple) {
		quote = triple
	}
	raw := i > 0 && (text[i-1] == 'r' || text[i-1] == 'R') || i > 1 && (text[i-2] == 'r' || text[i-2] == 'R') && (text[i-1] == 'b' || text[i-1] == 'B')
	for i += len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote) - 1
		}
	}
	return len(text)
}
