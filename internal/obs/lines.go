package obs

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// lineQueue is how many bytes wait while the log's reader is slow.
	lineQueue = 1 << 20
	// lineWait is how long the one caller that hands a line over waits for it.
	lineWait = 100 * time.Millisecond
)

// lineWriter hands lines to a writer that may block. There is no goroutine at
// rest: whoever finds the writer idle starts one that writes until the queue is
// empty, and waits for it a moment, so that in the ordinary case a line is out
// before its call returns. While it is stuck, callers only queue.
type lineWriter struct {
	w    io.Writer
	note func(dropped uint64) // logs that lines were lost

	mu      sync.Mutex
	queue   bytes.Buffer
	writing bool
	lost    uint64 // lines dropped since the last note
	total   uint64
}

func newLineWriter(w io.Writer) *lineWriter { return &lineWriter{w: w} }

// del is the one control byte that slog's handlers let through; the escape reads
// the same in JSON and in text.
const del, escapedDel = "\x7f", `\u007f`

// Write takes one whole line. It never fails: a log has nobody to report to.
func (l *lineWriter) Write(line []byte) (int, error) {
	size := len(line)
	if bytes.IndexByte(line, del[0]) >= 0 {
		line = bytes.ReplaceAll(line, []byte(del), []byte(escapedDel))
	}
	l.enqueue(line)
	return size, nil
}

func (l *lineWriter) enqueue(line []byte) {
	l.mu.Lock()
	if l.queue.Len()+len(line) > lineQueue {
		l.lost++
		l.total++
		l.mu.Unlock()
		return
	}
	l.queue.Write(line)
	if l.writing {
		l.mu.Unlock()
		return
	}
	l.writing = true
	l.mu.Unlock()

	done := make(chan struct{})
	go l.drain(done)
	patience := time.NewTimer(lineWait)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}

// drain writes until nothing is queued. Two buffers take turns, so callers queue
// while a write is under way.
func (l *lineWriter) drain(done chan<- struct{}) {
	defer close(done)
	var batch []byte
	for {
		l.mu.Lock()
		if l.queue.Len() == 0 {
			lost := l.lost
			l.lost = 0
			l.writing = false
			l.mu.Unlock()
			if lost > 0 {
				go l.note(lost) // not here: it comes back to Write, which waits for done
			}
			return
		}
		batch = append(batch[:0], l.queue.Bytes()...)
		l.queue.Reset()
		l.mu.Unlock()
		_, _ = l.w.Write(batch) // there is nobody to tell
	}
}

func (l *lineWriter) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}
