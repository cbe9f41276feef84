package dns_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/postern-dev/postern/server/pki/dns"
)

// patience is for how long a test waits for what must come.
const patience = 20 * time.Second

// sockets are two on loopback, which nobody has closed.
func sockets(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return datagrams, streams
}

// listening serves on loopback until the test ends.
func listening(t testing.TB, s *dns.Server) (udp, tcp string) {
	t.Helper()
	datagrams, streams := sockets(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, datagrams, streams) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return datagrams.LocalAddr().String(), streams.Addr().String()
}

func exchange(t *testing.T, network, addr string, query *miekg.Msg) *miekg.Msg {
	t.Helper()
	client := miekg.Client{Net: network, Timeout: patience, UDPSize: 4096}
	got, _, err := client.Exchange(query, addr)
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return got
}

func TestOverTheNetwork(t *testing.T) {
	registry := prometheus.NewRegistry()
	udp, tcp := listening(t, serving(t, dns.Config{Metrics: registry}))
	for network, addr := range map[string]string{"udp": udp, "tcp": tcp} {
		query := new(miekg.Msg).SetQuestion("t1.acct.dns.example.com.", miekg.TypeA)
		if got := exchange(t, network, addr, query); said(got.Answer) != "A 192.0.2.1, A 198.51.100.1" {
			t.Errorf("%s: %v", network, got)
		}
		for _, opcode := range []int{miekg.OpcodeUpdate, miekg.OpcodeNotify, miekg.OpcodeStatus} {
			query := new(miekg.Msg).SetQuestion("dns.example.com.", miekg.TypeSOA)
			query.Opcode = opcode
			if got := exchange(t, network, addr, query); got.Rcode != miekg.RcodeNotImplemented {
				t.Errorf("%s: opcode %d: %v", network, opcode, got)
			}
		}
	}
	if n, err := testutil.GatherAndCount(registry, "postern_dns_answers_total"); n == 0 || err != nil {
		t.Errorf("%d series of answers, %v", n, err)
	}
}

// One connection may carry many questions, also sent at once; zone transfers are none.
func TestManyQuestionsOverOneConnection(t *testing.T) {
	_, tcp := listening(t, serving(t, dns.Config{}))
	conn, err := miekg.DialTimeout("tcp", tcp, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	kinds := []uint16{miekg.TypeA, miekg.TypeAXFR, miekg.TypeAAAA, miekg.TypeSOA}
	for _, kind := range kinds {
		query := new(miekg.Msg).SetQuestion("dns.example.com.", kind)
		if err := conn.WriteMsg(query); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range kinds {
		got, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if got.Question[0].Qtype != kind || (got.Rcode == refused) != (kind == miekg.TypeAXFR) {
			t.Errorf("%d: %v", kind, got)
		}
	}
}

// B5-31: what is no question gets an error or nothing, over a socket that goes on answering.
func TestBrokenMessages(t *testing.T) {
	udp, tcp := listening(t, serving(t, dns.Config{}))
	whole := new(miekg.Msg).SetQuestion("dns.example.com.", miekg.TypeSOA)
	packed, err := whole.Pack()
	if err != nil {
		t.Fatal(err)
	}
	answer := bytes.Clone(packed)
	answer[2] |= 0x80
	counts := bytes.Clone(packed[:12]) // a header that promises a question
	many := bytes.Clone(packed)
	many[5] = 9
	loop := append(bytes.Clone(packed[:12]), 0xc0, 12, 0, 1, 0, 1)
	for what, b := range map[string][]byte{
		"nothing": {}, "one byte": {1}, "half a header": packed[:6], "an answer": answer, "no question": counts, "nine questions": many,
		"a name that points to itself": loop, "half a name": packed[:15], "garbage": bytes.Repeat([]byte{0xff}, 600),
	} {
		if conn, err := net.Dial("udp", udp); err != nil {
			t.Error(err)
		} else {
			_, _ = conn.Write(b)
			_ = conn.Close()
		}
		conn, err := net.Dial("tcp", tcp)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) && !isReset(err) {
			t.Errorf("%s: %v", what, err)
		}
		_ = conn.Close()
		if got := exchange(t, "udp", udp, whole); got.Rcode != ok {
			t.Errorf("after %s: %v", what, got)
		}
	}
}

func isReset(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && !failed.Timeout()
}

// A network that opens many connections is turned away; others are not, and nor is it
// once some are closed.
func TestConnectionsAreBounded(t *testing.T) {
	_, tcp := listening(t, serving(t, dns.Config{}))
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	query := new(miekg.Msg).SetQuestion("dns.example.com.", miekg.TypeSOA)
	works := func() (net.Conn, bool) {
		conn, err := net.Dial("tcp", tcp)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		speaking := &miekg.Conn{Conn: conn}
		if err := speaking.WriteMsg(query); err != nil {
			return conn, false
		}
		_, err = speaking.ReadMsg()
		return conn, err == nil
	}
	turnedAway := false
	for range 100 {
		conn, worked := works()
		open = append(open, conn)
		if !worked {
			turnedAway = true
			break
		}
	}
	if !turnedAway {
		t.Fatal("100 connections of one network were served at once")
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	open = nil
	for until := time.Now().Add(patience); ; {
		conn, worked := works()
		_ = conn.Close()
		if worked {
			break
		}
		if time.Now().After(until) {
			t.Fatal("nobody is served after all have gone")
		}
	}
}

// Who is connected when the server stops, as when another process takes over, still gets
// an answer.
func TestOpenConnectionsAreAnsweredAtTheEnd(t *testing.T) {
	datagrams, streams := sockets(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- serving(t, dns.Config{}).Serve(ctx, datagrams, streams) }()
	conn, err := miekg.DialTimeout("tcp", streams.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	query := new(miekg.Msg).SetQuestion("dns.example.com.", miekg.TypeSOA)
	for n := range 2 {
		if err := conn.WriteMsg(query); err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			stop()
		}
		if _, err := conn.ReadMsg(); err != nil {
			t.Fatalf("question %d: %v", n, err)
		}
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Serve ends, and says why, when one of its two sockets fails.
func TestServeEndsWithItsSockets(t *testing.T) {
	datagrams, streams := sockets(t)
	_ = streams.Close()
	if err := serving(t, dns.Config{}).Serve(t.Context(), datagrams, streams); err == nil {
		t.Error("no error")
	}
}
