package body

import (
	"strings"
)

// Negotiate chooses the coding for a request's Accept-Encoding lines among those offered,
// the best first: the one with the greatest weight, of equals the first offered (RFC 9110
// §12.5.3). Identity is chosen where the visitor prefers it or takes nothing else, and where
// nothing at all would do: better a body that is not wanted than none.
func Negotiate(accept []string, offered []Coding) Coding {
	asked, rest := weights(accept)
	weight := func(c Coding, otherwise int) int {
		if w, named := asked[c]; named {
			return w
		}
		if rest >= 0 {
			return rest
		}
		return otherwise
	}
	best, most := Identity, 0
	if w, named := asked[Identity]; named {
		most = w
	}
	for _, c := range offered {
		if w := weight(c, 0); c != Compress && w > 0 && (w > most || best == Identity && w == most) {
			best, most = c, w
		}
	}
	return best
}

// weights are those of the codings named, in thousandths, and of the rest; -1 is none. A
// coding that is named twice has the greater weight; what cannot be read is not named.
func weights(accept []string) (asked map[Coding]int, rest int) {
	asked, rest = make(map[Coding]int, 4), -1
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			w, ok := weight(parameters)
			switch c := codingOf(name); {
			case c == "" || !ok:
			case c == "*":
				rest = max(rest, w)
			default:
				if before, named := asked[c]; !named || w > before {
					asked[c] = w
				}
			}
		}
	}
	return asked, rest
}

// weight reads "q=0.5", in thousandths; nothing is 1000 (RFC 9110 §12.4.2).
func weight(parameter string) (thousandths int, ok bool) {
	parameter = strings.TrimSpace(parameter)
	if parameter == "" {
		return 1000, true
	}
	name, value, _ := strings.Cut(parameter, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return 0, false
	}
	whole, part, _ := strings.Cut(strings.TrimSpace(value), ".")
	if whole != "0" && whole != "1" || len(part) > 3 {
		return 0, false
	}
	for _, c := range []byte(part + "000")[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		thousandths = 10*thousandths + int(c-'0')
	}
	if whole == "1" {
		thousandths += 1000
	}
	return thousandths, thousandths <= 1000
}

// Decodable narrows a request's Accept-Encoding lines to what can be undone here, so that
// nobody gets a body past a replacement by asking for it in another coding. changed is
// false where they may stay.
func Decodable(accept []string) (narrowed string, changed bool) {
	var kept []string
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			switch codingOf(name) {
			case Gzip, Deflate, Brotli, Zstd, Identity:
				kept = append(kept, strings.TrimSpace(item))
			case "":
			case "*":
				changed = true
				if w, ok := weight(parameters); ok && w > 0 {
					kept = append(kept, strings.Join(strings.Fields("gzip "+parameters), ";"))
				}
			default:
				changed = true
			}
		}
	}
	if len(kept) == 0 {
		return string(Identity), changed
	}
	return strings.Join(kept, ", "), changed
}
