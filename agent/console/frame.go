package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Ranks of rows: what a small screen can do without comes last. A rank plus a number
// lets the first of many rows stay longer than the others.
const (
	rankSession = iota * 1000
	rankFailure
	rankFirstURLs
	rankWeb
	rankTitle
	rankConnections
	rankFailureRest
	rankFirstRequests
	rankUpdate
	rankRequestsTitle
	rankFacts
	rankSpace
	rankHints
	rankMoreURLs
	rankMoreRequests
)

const (
	firstURLs     = 5 // rows of a kind that are worth more than rows of others
	firstRequests = 3

	labelColumn  = 30 // where values begin
	narrowColumn = 15 // the same, on a screen that is not much wider than that
	narrow       = 70
	failureLines = 3
)

// frame lays a View out.
type frame struct {
	view    View
	width   int
	height  int
	closing bool // the agent is on its way out
	held    bool // the list of requests stands still
}

// lines gives the rows that fit, from the top.
func (f *frame) lines() []line {
	all := f.title()
	all = append(all, f.facts()...)
	all = append(all, f.forwarding()...)
	all = append(all, f.failure()...)
	all = append(all, f.connections()...)
	all = append(all, f.requests()...)
	hints := row(rankHints, piece{"q quit   space " + f.spaceDoes(), faint})
	chosen := choose(append(all, row(rankSpace), hints), f.height)
	if n := len(chosen); n > 0 && chosen[n-1].rank == rankHints { // it stands at the bottom
		for len(chosen) < f.height {
			chosen = append(chosen[:len(chosen)-1], row(rankSpace), hints)
		}
	}
	return f.admitHidden(chosen)
}

func (f *frame) spaceDoes() string {
	if f.held {
		return "let the requests go on"
	}
	return "hold the requests"
}

func (f *frame) title() []line {
	name, keys := "postern", "(Ctrl+C to quit)"
	if f.closing {
		keys = "(closing; Ctrl+C again to end at once)"
	}
	gap := max(1, f.width-columns(name)-columns(keys))
	lines := []line{
		row(rankTitle, piece{name, bold}, piece{strings.Repeat(" ", gap), plain}, piece{keys, faint}),
		row(rankSpace),
	}
	if f.view.Banner != "" {
		lines = append(lines, row(rankFacts, piece{harmless(f.view.Banner), cyan}), row(rankSpace))
	}
	return lines
}

// column is where values begin.
func (f *frame) column() int {
	if f.width < narrow {
		return min(narrowColumn, f.width/2)
	}
	return labelColumn
}

func (f *frame) labelled(rank int, label string, pieces ...piece) line {
	return row(rank, append([]piece{{pad(label, f.column()), plain}}, pieces...)...)
}

func (f *frame) facts() []line {
	v := &f.view
	lines := f.session()
	fact := func(rank int, label, value string, s style) {
		if value != "" {
			lines = append(lines, f.labelled(rank, label, piece{harmless(value), s}))
		}
	}
	fact(rankFacts, "Account", v.Account, plain)
	fact(rankUpdate, "Update", v.Update, yellow)
	fact(rankFacts, "Version", v.Version, plain)
	fact(rankFacts, "Region", v.Region, plain)
	fact(rankFacts, "Latency", latency(v.Latency), plain)
	fact(rankWeb, "Web Interface", v.WebInterface, plain)
	return lines
}

// session is the state, with what is wrong on as many rows as that takes.
func (f *frame) session() []line {
	state := harmless(f.view.State)
	if f.view.Why == nil {
		s := yellow
		if f.view.State == "online" {
			s = green
		}
		return []line{f.labelled(rankSession, "Session Status", piece{state, s})}
	}
	text := state + " (" + harmless(described(f.view.Why)) + ")"
	var lines []line
	for i, part := range wrap(text, f.width-f.column(), failureLines) {
		label, rank := "Session Status", rankSession
		if i > 0 {
			label, rank = "", rankFailureRest
		}
		lines = append(lines, f.labelled(rank, label, piece{part, yellow}))
	}
	return append(lines, f.fix(f.view.Why.Code)...)
}

// fix is the next step that the catalogue knows.
func (f *frame) fix(code postern.Code) []line {
	if code == "" {
		return nil
	}
	var lines []line
	for _, part := range wrap(harmless(code.Entry().Fix), f.width-f.column(), failureLines-1) {
		lines = append(lines, f.labelled(rankFailureRest+1, "", piece{part, faint}))
	}
	return lines
}

// described is an error with the cause that only the owner of the agent sees.
func described(why *postern.Error) string {
	if why.Cause == nil {
		return why.Error()
	}
	return why.Error() + ": " + why.Cause.Error()
}

func latency(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Millisecond:
		return "<1ms"
	}
	return d.Round(time.Millisecond).String()
}

func (f *frame) forwarding() []line {
	lines := make([]line, 0, len(f.view.Forwarding))
	for i, to := range f.view.Forwarding {
		rank := rankFirstURLs + i
		if i >= firstURLs {
			rank = rankMoreURLs + min(i, 999)
		}
		url := harmless(cmp.Or(to.URL, to.Name))
		pieces := []piece{{url, plain}}
		if to.Upstream != "" {
			pieces = append(pieces, piece{" -> " + harmless(to.Upstream), plain})
		}
		switch {
		case to.Refusal != nil:
			pieces = []piece{{url + ": " + harmless(to.Refusal.Error()), red}}
		case to.URL == "":
			pieces = append(pieces, piece{" (not online yet)", faint})
		}
		lines = append(lines, f.labelled(rank, "Forwarding", pieces...))
	}
	return lines
}

// admitHidden makes the last row of URLs say how many there is no room for.
func (f *frame) admitHidden(chosen []line) []line {
	shown, last := 0, -1
	for i, l := range chosen {
		if isURL(l.rank) {
			shown, last = shown+1, i
		}
	}
	if hidden := len(f.view.Forwarding) - shown; hidden > 0 && last >= 0 {
		chosen[last] = f.labelled(chosen[last].rank, "Forwarding", piece{fmt.Sprintf("… and %d more", hidden+1), faint})
	}
	return chosen
}

func isURL(rank int) bool {
	return rank/1000 == rankFirstURLs/1000 || rank/1000 == rankMoreURLs/1000
}

func (f *frame) failure() []line {
	failure := f.view.Failure
	if failure == nil {
		return nil
	}
	text := failure.At.Format(time.TimeOnly) + " " + harmless(failure.Text)
	var lines []line
	for i, part := range wrap(text, f.width-f.column(), failureLines) {
		label, rank := "Last Failure", rankFailure
		if i > 0 {
			label, rank = "", rankFailureRest
		}
		lines = append(lines, f.labelled(rank, label, piece{part, red}))
	}
	return append(lines, f.fix(failure.Code)...)
}

func (f *frame) connections() []line {
	n := &f.view.Connections
	heads, values, step := "", "", 8
	if f.width < narrow {
		step = 6
	}
	add := func(head, value string) { // a number that is cut would be another number
		if room := f.width - f.column() - columns(heads); max(columns(value), columns(head)) <= room {
			heads += pad(head, max(step, columns(value)+1))
			values += pad(value, max(step, columns(value)+1))
		}
	}
	add("ttl", fmt.Sprint(n.Total))
	add("opn", fmt.Sprint(n.Open))
	add("rt1", fmt.Sprintf("%.2f", n.Rate1))
	add("rt5", fmt.Sprintf("%.2f", n.Rate5))
	add("p50", fmt.Sprintf("%.2f", n.P50.Seconds()))
	add("p90", fmt.Sprintf("%.2f", n.P90.Seconds()))
	return []line{
		row(rankSpace),
		f.labelled(rankConnections, "Connections", piece{strings.TrimRight(heads, " "), plain}),
		f.labelled(rankConnections, "", piece{strings.TrimRight(values, " "), plain}),
	}
}

const (
	requestTime = "15:04:05.000 MST"
	pathColumn  = 25 // at least, where there is room
)

func (f *frame) requests() []line {
	if len(f.view.Requests) == 0 {
		return nil
	}
	title := "HTTP Requests"
	if f.held {
		title += " (held)"
	}
	lines := []line{
		row(rankSpace),
		row(rankRequestsTitle, piece{title, plain}),
		row(rankRequestsTitle, piece{strings.Repeat("-", columns(title)), plain}),
	}
	shown := f.view.Requests[:min(len(f.view.Requests), f.height)]
	path := f.pathWidth(shown)
	for i, r := range shown {
		rank := rankFirstRequests + i
		if i >= firstRequests {
			rank = rankMoreRequests + i
		}
		before := ""
		if f.width >= narrow {
			before = r.At.Format(requestTime) + " "
		}
		lines = append(lines, row(rank, piece{before, plain},
			piece{pad(harmless(r.Method), methodWidth(r)) + " ", plain},
			piece{pad(harmless(r.Path), path) + " ", plain},
			piece{harmless(r.Status), statusStyle(r.Status)}))
	}
	return lines
}

// pathWidth is how many columns paths get: what the longest needs, and what the rest
// of the row leaves.
func (f *frame) pathWidth(shown []Request) int {
	longest, others := pathColumn, 0
	for _, r := range shown {
		longest = max(longest, columns(harmless(r.Path)))
		others = max(others, columns(harmless(r.Status))+methodWidth(r))
	}
	others += 2
	if f.width >= narrow {
		others += len(requestTime) + 1
	}
	return max(8, min(longest, f.width-others))
}

func methodWidth(r Request) int { return max(4, min(7, columns(harmless(r.Method)))) }

func statusStyle(status string) style {
	switch {
	case strings.HasPrefix(status, "2"):
		return green
	case strings.HasPrefix(status, "3"):
		return cyan
	case strings.HasPrefix(status, "4"):
		return yellow
	case strings.HasPrefix(status, "5"):
		return red
	}
	return plain
}
