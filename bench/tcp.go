package main

import (
	"io"
	"net"
	"time"
)

func tcpMode(addr string, mode byte) (net.Conn, error) {
	c, err := dialTCP(addr, 0)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{mode}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func tcpPing(addr string) error {
	c, err := dialTCP(addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	if _, err := c.Write([]byte("Ex")); err != nil {
		return err
	}
	var b [1]byte
	_, err = io.ReadFull(c, b[:])
	return err
}

func tcpDownload(addr string, n int) *bulk {
	b := &bulk{}
	b.loop(n, func() error {
		c, err := tcpMode(addr, 'D')
		if err != nil {
			return err
		}
		b.keep(c)
		defer c.Close()
		return b.read(c, -1, 0)
	})
	return b
}

func tcpUpload(addr string, n int) *bulk {
	b := &bulk{}
	chunk := make([]byte, 256<<10)
	b.loop(n, func() error {
		c, err := tcpMode(addr, 'S')
		if err != nil {
			return err
		}
		b.keep(c)
		defer c.Close()
		for {
			if _, err := c.Write(chunk); err != nil {
				return err
			}
		}
	})
	return b
}

// tcpConnect: new connection, one byte there and back, close.
func tcpConnect(addr string, n int, d time.Duration) (*lat, time.Duration) {
	return workers(n, d, func(_ int, l *lat, _ time.Time) error {
		t0 := time.Now()
		if err := tcpPing(addr); err != nil {
			return err
		}
		l.add(time.Since(t0))
		return nil
	})
}

func tcpEcho(addr string, n int, d time.Duration) (*lat, time.Duration) {
	return workers(n, d, func(_ int, l *lat, stop time.Time) error {
		c, err := tcpMode(addr, 'E')
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(stop.Add(10 * time.Second))
		msg, buf := make([]byte, 64), make([]byte, 64)
		for {
			t0 := time.Now()
			if !t0.Before(stop) {
				return nil
			}
			if _, err := c.Write(msg); err != nil {
				return err
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				return err
			}
			l.add(time.Since(t0))
		}
	})
}
