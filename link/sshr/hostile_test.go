package sshr_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Channels that an SSH server might serve are refused here, each with a reason.
func TestOtherChannelsAreRefused(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	for kind, reason := range map[string]ssh.RejectionReason{
		"direct-tcpip": ssh.Prohibited, "direct-streamlocal@openssh.com": ssh.UnknownChannelType,
		"x11": ssh.UnknownChannelType, "forwarded-tcpip": ssh.UnknownChannelType, "": ssh.UnknownChannelType,
	} {
		_, _, err := c.OpenChannel(kind, nil)
		var refusal *ssh.OpenChannelError
		if !errors.As(err, &refusal) || refusal.Reason != reason || refusal.Message == "" {
			t.Errorf("%q gave %v", kind, err)
		}
	}
	for range 8 {
		if _, _, err := c.OpenChannel("session", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.OpenChannel("session", nil); err == nil {
		t.Error("there is no end of sessions")
	}
}

// No request of a session does anything but show what is online.
func TestOtherRequestsAreRefused(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	channel, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	for _, kind := range []string{"subsystem", "x11-req", "auth-agent-req@openssh.com", "", "\x00"} {
		if ok, err := channel.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%q: %v, %v", kind, ok, err)
		}
	}
	if ok, err := channel.SendRequest("exec", true, []byte{0, 0, 0, 9, 'x'}); ok || err != nil {
		t.Errorf("a command that cannot be read: %v, %v", ok, err)
	}
	if ok, err := channel.SendRequest("shell", true, nil); !ok || err != nil {
		t.Errorf("shell: %v, %v", ok, err)
	}
	if ok, err := channel.SendRequest("shell", true, nil); ok || err != nil {
		t.Errorf("a second shell: %v, %v", ok, err)
	}
	for _, kind := range []string{"streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com", "no-more-sessions@openssh.com", ""} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%q: %v, %v", kind, ok, err)
		}
	}
	if ok, _, err := c.SendRequest("keepalive@openssh.com", true, nil); !ok || err != nil {
		t.Errorf("keepalive: %v, %v", ok, err)
	}
	for _, payload := range [][]byte{nil, {1}, {0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0}, 100)} {
		if ok, _, err := c.SendRequest("tcpip-forward", true, payload); ok || err != nil {
			t.Errorf("tcpip-forward of %x: %v, %v", payload, ok, err)
		}
	}
}

// A client that floods the server with requests and reads nothing that is shown to it
// only waits for itself: its session answers still, and what comes is in order.
func TestFloodOfRequests(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	channel, requests, err := c.OpenChannel("session", nil) // nobody reads it
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if _, err := channel.SendRequest("shell", true, nil); err != nil {
		t.Fatal(err)
	}
	const forwards = 500
	for i := range forwards {
		if _, _, err := c.SendRequest("tcpip-forward", false, ssh.Marshal(forwardRequest{fmt.Sprintf("flood-%d", i), 80})); err != nil {
			t.Fatal(err)
		}
	}
	for range 5000 {
		if _, _, err := c.SendRequest("nothing", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if ok, _, err := c.SendRequest("keepalive@openssh.com", true, nil); !ok || err != nil {
		t.Errorf("keepalive behind the flood: %v, %v", ok, err)
	}
	if online := len(a.Bound()); online != forwards {
		t.Errorf("%d endpoints are online, want %d", online, forwards)
	}
	if _, err := a.Session.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// A client that never answers an open holds up nobody but its own visitors, and these are
// let go at their deadlines.
func TestOpenThatIsNeverAnswered(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	c.run("")
	c.forward("shop", 80)
	held, err := a.Session.Open(t.Context(), link.Header{Endpoint: a.Bound()[0].ID}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	<-c.incoming // and not a word
	_ = held.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := held.Read(make([]byte, 1)); err == nil {
		t.Error("something came")
	}
	if _, err := held.Write(make([]byte, 1<<20)); err == nil {
		t.Error("a megabyte was taken for a client that has not accepted")
	}
	held.Reset(nil)
	next, err := a.Session.Open(t.Context(), link.Header{Endpoint: a.Bound()[0].ID}, []byte("y"))
	if err != nil {
		t.Fatal(err)
	}
	_, channel, requests := c.next()
	go ssh.DiscardRequests(requests)
	if _, err := channel.Write([]byte("z")); err != nil {
		t.Fatal(err)
	}
	if n, err := next.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the next visitor: %d, %v", n, err)
	}
}

// B5-31: whatever a client that is let in asks for, the server answers what comes next,
// or has ended that connection; nothing of it fails inside.
func FuzzRequests(f *testing.F) {
	for _, name := range []string{"tcpip-forward", "cancel-tcpip-forward", "exec", "shell", "pty-req", "signal", "direct-tcpip", "session", "reset@postern"} {
		for kind := range byte(3) {
			f.Add(kind, name, []byte{0, 0, 0, 1, 'a', 0, 0, 0, 80})
			f.Add(kind, name, []byte{0xff, 0xff, 0xff, 0xff})
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, name string, payload []byte) {
		if len(name)+len(payload) > 30<<10 {
			return // more than a packet
		}
		g := newGate()
		c := connect(t, g)
		screen, requests, err := c.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		go ssh.DiscardRequests(requests)
		go func() { _, _ = io.Copy(io.Discard, screen) }()
		_, _ = screen.SendRequest("shell", false, nil)
		switch kind % 3 {
		case 0:
			_, _, _ = c.SendRequest(name, true, payload)
		case 1:
			_, _ = screen.SendRequest(name, true, payload)
		case 2:
			if channel, requests, err := c.OpenChannel(name, payload); err == nil {
				go ssh.DiscardRequests(requests)
				_, _ = channel.Write(payload)
				_ = channel.Close()
			}
		}
		if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			if cause := <-c.served; postern.HasCode(cause, postern.CodeInternal) {
				t.Errorf("the session failed inside: %v", cause)
			}
			c.served <- nil
		}
	})
}

// B5-31: the same for who is not let in.
func FuzzStranger(f *testing.F) {
	f.Add([]byte("SSH-2.0-x\r\n"))
	f.Add([]byte("SSH-2.0-x\r\n\x00\x00\x00\x0c\x0aabcdefghijk"))
	f.Add([]byte("SSH-2.0-x\r\n\xff\xff\xff\xff\x04\x14"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn, served := serve(t, newGate())
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		_, _ = conn.Write(sent)
		_ = conn.Close()
		if err := <-served; err == nil || postern.HasCode(err, postern.CodeInternal) {
			t.Errorf("Serve gave %v", err)
		}
	})
}
