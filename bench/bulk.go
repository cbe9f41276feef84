package main

import (
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bulk is a set of running transfers; n counts the bytes that arrived.
type bulk struct {
	n     atomic.Int64
	errs  atomic.Int64
	mu    sync.Mutex
	conns []net.Conn
	done  atomic.Bool
	wg    sync.WaitGroup
}

func (b *bulk) keep(c net.Conn) {
	b.mu.Lock()
	b.conns = append(b.conns, c)
	b.mu.Unlock()
	if b.done.Load() {
		c.Close()
	}
}

func (b *bulk) stop() {
	b.done.Store(true)
	b.mu.Lock()
	for _, c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *bulk) loop(n int, f func() error) {
	for range n {
		b.wg.Add(1)
		go func() {
			defer b.wg.Done()
			for !b.done.Load() {
				if err := f(); err != nil && !b.done.Load() {
					b.errs.Add(1)
					time.Sleep(5 * time.Millisecond)
				}
			}
		}()
	}
}

// read takes bytes until n have come (n<0: until the end), at most rate bytes a
// second (0: no limit).
func (b *bulk) read(c net.Conn, n int64, rate float64) error {
	buf := make([]byte, 256<<10)
	if rate > 0 {
		buf = buf[:32<<10]
	}
	t0, got := time.Now(), int64(0)
	for n < 0 || got < n {
		want := buf
		if n >= 0 {
			want = buf[:min(int64(len(buf)), n-got)]
		}
		m, err := c.Read(want)
		got += int64(m)
		b.n.Add(int64(m))
		if err != nil {
			return err
		}
		if rate > 0 {
			if w := time.Duration(float64(got)/rate*1e9) - time.Since(t0); w > 0 {
				time.Sleep(w)
			}
		}
	}
	return nil
}

// download keeps n GETs of 100 MiB going.
func (t *target) download(n int, rate float64) *bulk {
	b := &bulk{}
	b.loop(n, func() error {
		c, err := t.open()
		if err != nil {
			return err
		}
		b.keep(c.c)
		defer c.c.Close()
		req := t.get("/large", "")
		for !b.done.Load() {
			if _, err := c.c.Write(req); err != nil {
				return err
			}
			st, length, chunked, err := c.head()
			if err != nil {
				return err
			}
			if st != 200 {
				return fmt.Errorf("status %d", st)
			}
			if chunked {
				r := httputil.NewChunkedReader(c.br)
				buf := make([]byte, 256<<10)
				for {
					m, err := r.Read(buf)
					b.n.Add(int64(m))
					if err == io.EOF {
						break
					}
					if err != nil {
						return err
					}
				}
				c.br.ReadSlice('\n')
				continue
			}
			if h := int64(c.br.Buffered()); h > 0 { // the body's first bytes
				c.br.Discard(int(h))
				b.n.Add(h)
				if length >= 0 {
					length -= h
				}
			}
			if err := b.read(c.c, length, rate); err != nil {
				return err
			}
		}
		return nil
	})
	return b
}

// upload keeps n POSTs of 100 MiB going; what arrived is asked from the upstream.
func (t *target) upload(n int) *bulk {
	b := &bulk{}
	chunk := make([]byte, 256<<10)
	const size = 100 << 20
	b.loop(n, func() error {
		c, err := t.open()
		if err != nil {
			return err
		}
		b.keep(c.c)
		defer c.c.Close()
		hd := "POST /upload HTTP/1.1\r\nHost: " + t.host + "\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n"
		for !b.done.Load() {
			if _, err := io.WriteString(c.c, hd); err != nil {
				return err
			}
			for sent := 0; sent < size; sent += len(chunk) {
				if _, err := c.c.Write(chunk); err != nil {
					return err
				}
			}
			st, length, _, err := c.head()
			if err != nil {
				return err
			}
			if st != 200 {
				return fmt.Errorf("status %d", st)
			}
			if length < 0 {
				return nil
			}
			c.br.Discard(int(length))
		}
		return nil
	})
	return b
}
