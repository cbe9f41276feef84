package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The UDP upstream answers 'E' datagrams with themselves and counts 'S' datagrams.
var datagramsIn atomic.Int64

func runUDP(addr string) error {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	_ = pc.(*net.UDPConn).SetReadBuffer(8 << 20)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(buf)
			switch {
			case err != nil:
				return
			case n > 0 && buf[0] == 'S':
				datagramsIn.Add(1)
			case n > 0:
				pc.WriteTo(buf[:n], from)
			}
		}
	}()
	return nil
}

// udpEcho is ping-pong of datagrams of size bytes from n sources.
func udpEcho(addr string, n, size int, d time.Duration) (*lat, time.Duration) {
	return workers(n, d, func(_ int, l *lat, stop time.Time) error {
		c, err := net.Dial("udp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		out, in := make([]byte, size), make([]byte, 2*size)
		out[0] = 'E'
		for number := uint32(0); time.Now().Before(stop); number++ {
			binary.BigEndian.PutUint32(out[1:], number)
			t0 := time.Now()
			if _, err := c.Write(out); err != nil {
				return err
			}
			c.SetReadDeadline(t0.Add(time.Second))
			for {
				if _, err := c.Read(in); err != nil {
					return err
				}
				if binary.BigEndian.Uint32(in[1:]) == number {
					break
				}
			}
			l.add(time.Since(t0))
		}
		return nil
	})
}

// udpAnswered sends one datagram from each of n sources, again up to three times, and
// counts those that were answered. The sources stay open until all have had their turn.
func udpAnswered(addr string, n int) int {
	var answered atomic.Int64
	var done, turn sync.WaitGroup
	turn.Add(n)
	for i := range n {
		done.Go(func() {
			c, err := net.Dial("udp", addr)
			if err != nil {
				turn.Done()
				return
			}
			defer c.Close()
			in, out := make([]byte, 64), fmt.Appendf(nil, "E source %d", i)
			for range 3 {
				c.Write(out)
				c.SetReadDeadline(time.Now().Add(time.Second))
				if m, err := c.Read(in); err == nil && string(in[:m]) == string(out) {
					answered.Add(1)
					break
				}
			}
			turn.Done()
			turn.Wait()
		})
	}
	done.Wait()
	return int(answered.Load())
}

// udpOneWay sends rate datagrams of size bytes a second for d, in batches a millisecond
// apart, and gives how many have left. What arrives is the upstream's to count.
func udpOneWay(addr string, rate, size int, d time.Duration) (sent int64, err error) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	out := make([]byte, size)
	out[0] = 'S'
	began := time.Now()
	for {
		passed := time.Since(began)
		if passed >= d {
			return sent, nil
		}
		for due := int64(passed.Seconds() * float64(rate)); sent < due; sent++ {
			if _, err := c.Write(out); err != nil {
				return sent, err
			}
		}
		time.Sleep(time.Millisecond)
	}
}
