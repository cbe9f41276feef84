package console

import (
	"slices"
	"strings"
)

// style is how a piece of a line looks, as parameters of SGR (ECMA-48 8.3.117): only
// the eight colours that every theme has, so that it reads on light and dark ground.
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// piece is text of one style. It is harmless already.
type piece struct {
	text  string
	style style
}

// line is a row of the screen. Rows with a low rank stay when there is little room.
type line struct {
	rank   int
	pieces []piece
}

func row(rank int, pieces ...piece) line { return line{rank, pieces} }

// fit gives the pieces that find room in that many columns; the first that does not
// is cut.
func (l line) fit(width int) []piece {
	fitting := make([]piece, 0, len(l.pieces))
	for _, p := range l.pieces {
		w := columns(p.text)
		if w > width {
			return append(fitting, piece{cut(p.text, width), p.style})
		}
		fitting = append(fitting, p)
		width -= w
	}
	return fitting
}

// render writes the line with its colours. On a ground of its own the line covers the
// whole width.
func (l line) render(width int, ground style) string {
	var text strings.Builder
	left := width
	for _, p := range l.fit(width) {
		left -= columns(p.text)
		switch {
		case p.style == plain && ground == plain:
			text.WriteString(p.text)
		case p.style == plain:
			text.WriteString("\x1b[" + string(ground) + "m" + p.text + "\x1b[m")
		case ground == plain:
			text.WriteString("\x1b[" + string(p.style) + "m" + p.text + "\x1b[m")
		default:
			text.WriteString("\x1b[" + string(ground) + ";" + string(p.style) + "m" + p.text + "\x1b[m")
		}
	}
	if ground != plain && left > 0 {
		text.WriteString("\x1b[" + string(ground) + "m" + strings.Repeat(" ", left) + "\x1b[m")
	}
	return text.String()
}

// choose leaves out what there is no room for: the rows of the highest ranks, and of
// one rank the lowest on the screen.
func choose(lines []line, height int) []line {
	if len(lines) <= height {
		return lines
	}
	kept := make(map[int]int, len(lines)) // how many of each rank
	ranks := make([]int, 0, len(lines))
	for _, l := range lines {
		ranks = append(ranks, l.rank)
	}
	slices.Sort(ranks)
	for _, rank := range ranks[:max(0, height)] {
		kept[rank]++
	}
	chosen := make([]line, 0, height)
	for _, l := range lines {
		if kept[l.rank] > 0 {
			kept[l.rank]--
			chosen = append(chosen, l)
		}
	}
	return chosen
}
