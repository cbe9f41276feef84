package pattern

import (
	"bytes"
	"errors"
	"io"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	// piece is how much is read at a time.
	piece = 32 << 10
	// leastBuffer is what short streams need.
	leastBuffer = 4 << 10
	// mostInserted bounds what one match is replaced by, in bytes.
	mostInserted = 1 << 20
	// workPerByte and workFree bound the instructions that are followed. One takes a few
	// nanoseconds.
	workPerByte, workFree = 512, 64 << 20
)

// Why a stream is broken off.
var (
	ErrInserted = errors.New("a match would be replaced by more than a megabyte")
	ErrWork     = errors.New("the pattern takes too much work for the text: what it may match is looked through again and again")
)

// Reader gives a stream in which every match is replaced.
type Reader struct {
	source   io.Reader
	pattern  *Pattern
	template []byte
	machine  *machine

	// Positions are those in the source. text begins at base, a few bytes before done.
	text     []byte
	base     int64
	at       int64 // the machine's
	before   rune  // the rune before it, -1 at the beginning
	followed bool  // the machine was shown both runes about it
	barred   bool  // a match must not begin at it: an empty one was found
	done     int64 // the text before it was given out or replaced
	searched int64 // where the search for this match has begun
	last     int64 // where the last match ended

	ended bool   // the source was read to its end
	err   error  // it failed, or we did
	out   []byte // to be given out, from given on
	given int
}

// NewReader replaces what p matches in source by template, in which $1, ${1} and ${name}
// stand for what a group has matched, and $$ for a dollar sign (see regexp.Expand). Its
// Read waits only where nothing that was read can go on yet. It holds Window and two
// pieces of 32 KiB at most, beside what one match is replaced by.
func NewReader(source io.Reader, p *Pattern, template string) *Reader {
	r := &Reader{source: source, pattern: p, template: []byte(template), before: -1, last: -1}
	r.machine = newMachine(p, bytes.IndexByte(r.template, '$') >= 0)
	return r
}

// Read implements io.Reader.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for r.given == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		r.out, r.given = r.out[:0], 0
		r.run()
	}
	n := copy(b, r.out[r.given:])
	r.given += n
	return n, nil
}

// run adds to out, or reads.
func (r *Reader) run() {
	for len(r.out) < piece {
		decided := r.scan()
		if r.machine.work > workFree+workPerByte*(r.base+int64(len(r.text))) {
			r.out, r.err = r.out[:0], ErrWork
			return
		}
		if !decided {
			break
		}
		if err := r.replace(); err != nil {
			r.out, r.err = r.out[:0], err
			return
		}
	}
	if len(r.out) < piece {
		r.release()
	}
	switch {
	case len(r.out) > 0:
	case r.ended:
		r.err = io.EOF
	default:
		r.fill()
	}
}

// release gives out what no match can need.
func (r *Reader) release() {
	safe := r.at
	if !r.machine.idle() {
		safe = r.machine.oldest()
	}
	r.out = append(r.out, r.text[r.done-r.base:safe-r.base]...)
	r.done = safe
}

// fill reads once, behind what is still needed.
func (r *Reader) fill() {
	if unneeded := r.done - utf8.UTFMax - r.base; unneeded > 0 {
		r.text = r.text[:copy(r.text, r.text[unneeded:])]
		r.base += unneeded
	}
	room := cap(r.text) - len(r.text)
	if room < leastBuffer/2 {
		grown := make([]byte, len(r.text), min(max(leastBuffer, 2*cap(r.text)), len(r.text)+piece))
		copy(grown, r.text)
		r.text = grown
	}
	n, err := r.source.Read(r.text[len(r.text):cap(r.text)])
	r.text = r.text[:len(r.text)+n]
	switch {
	case err == io.EOF:
		r.ended = true
	case err != nil:
		r.err = err
	}
}

// scan runs the machine until it has decided on a match, or wants more text.
func (r *Reader) scan() (decided bool) {
	m := r.machine
	for {
		if m.idle() && !r.barred {
			r.skip()
		}
		next, width, known := r.peek()
		if !r.followed {
			if r.pattern.ahead && !known {
				return false
			}
			m.follow(r.at, syntax.EmptyOpContext(r.before, next), !r.barred)
			r.followed = true
		}
		if m.matched && len(m.now) == 0 {
			return true
		}
		if !known {
			return false
		}
		if width == 0 {
			return m.conclude()
		}
		m.step(next)
		r.at += int64(width)
		r.before, r.followed, r.barred = next, false, false
		m.forget(r.at - Window)
	}
}

// peek is the rune behind the position; -1 and no width at the end of the text. known is
// false where more must be read first.
func (r *Reader) peek() (next rune, width int, known bool) {
	rest := r.text[r.at-r.base:]
	if len(rest) == 0 {
		return -1, 0, r.ended
	}
	if !r.ended && !utf8.FullRune(rest) {
		return -1, 0, false
	}
	next, width = utf8.DecodeRune(rest)
	return next, width, true
}

// skip moves on to where a match can begin.
func (r *Reader) skip() {
	rest := r.text[r.at-r.base:]
	n := 0
	switch {
	case r.pattern.prefix != nil:
		n = indexPrefix(rest, r.pattern.prefix)
	case !r.pattern.first.any:
		for n < len(rest) && !r.pattern.first.bytes[rest[n]] {
			n++
		}
	}
	if n > 0 {
		r.moveTo(r.at + int64(n))
	}
}

// indexPrefix is where prefix, or as much of it as there is, begins in text; its length for
// nowhere.
func indexPrefix(text, prefix []byte) int {
	if n := bytes.Index(text, prefix); n >= 0 {
		return n
	}
	n := max(0, len(text)-len(prefix)+1)
	for !bytes.HasPrefix(prefix, text[n:]) {
		n++
	}
	return n
}

// moveTo has the machine go on at a position without having seen the text before it.
func (r *Reader) moveTo(at int64) {
	r.at, r.followed, r.before = at, false, -1
	if at > 0 {
		r.before, _ = utf8.DecodeLastRune(r.text[:at-r.base])
	}
}

// replace gives out the text up to the match, and what it is replaced by; then the search
// goes on behind it. An empty match right behind another is none.
func (r *Reader) replace() error {
	found := r.machine.found
	begin, end := found[0], found[1]
	r.out = append(r.out, r.text[r.done-r.base:begin-r.base]...)
	if end > r.last || begin == 0 {
		if err := r.insert(found); err != nil {
			return err
		}
	}
	r.done, r.last = end, end
	r.barred = end == r.searched
	r.searched = end
	r.machine.reset()
	r.moveTo(end)
	return nil
}

func (r *Reader) insert(found []int64) error {
	if r.machine.slots == 2 && bytes.IndexByte(r.template, '$') < 0 {
		r.out = append(r.out, r.template...)
		return nil
	}
	if int64(len(r.template))+int64(bytes.Count(r.template, []byte("$")))*(found[1]-found[0]) > mostInserted {
		return ErrInserted
	}
	groups := make([]int, len(found))
	for i, at := range found {
		groups[i] = -1
		if at >= 0 {
			groups[i] = int(at - r.base)
		}
	}
	r.out = r.pattern.expression.Expand(r.out, r.template, r.text, groups)
	return nil
}

var _ io.Reader = (*Reader)(nil)
