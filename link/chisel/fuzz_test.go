package chisel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"reflect"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/link/linktest"
)

// What is read of a config request is what was said, and nothing that no gateway can
// offer.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(oneRemote))
	f.Add([]byte(`{"Remotes":[{"LocalPort":"1","RemoteHost":"[::1]","RemotePort":"53","LocalProto":"udp","RemoteProto":"udp","Reverse":true}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		version, remotes, err := chisel.ParseRequest(payload)
		if err != nil {
			return
		}
		for _, r := range remotes {
			if !r.Reverse || r.Socks || r.Stdio || r.Target() == "" {
				t.Errorf("%+v was let through", r)
			}
		}
		again, same, err := chisel.ParseRequest(chisel.EncodeRequest(version, remotes))
		if err != nil || again != version || !reflect.DeepEqual(same, remotes) {
			t.Errorf("%q %+v became %q %+v, %v", version, remotes, again, same, err)
		}
	})
}

// FuzzServe sends a server what SSH carries: global requests and channel opens whose
// names and payloads are anything. The input is cut into pairs of strings.
func FuzzServe(f *testing.F) {
	pair := func(kind string, payload []byte) []byte {
		b := append([]byte{byte(len(kind))}, kind...)
		return append(binary.BigEndian.AppendUint16(b, uint16(len(payload))), payload...)
	}
	f.Add(pair("config", []byte(oneRemote)))
	f.Add(append(pair("ping", nil), pair("+chisel", []byte("socks"))...))
	f.Add(append(pair("config", []byte(oneRemote)), pair("config", []byte("{}"))...))
	f.Add(append(pair("-SSH-2.0-x\r\n\x00\x00", bytesOf(40)), pair("", nil)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		near, far := testkit.Pipe()
		served := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			served <- chisel.Serve(ctx, chisel.NewConn(far, true, false), chisel.Config{
				Registrar: naming{linktest.NewRegistrar(token), byName}, Logger: testkit.Logger(t), HostKey: testKey(), Hello: hello})
		}()
		play(t, chisel.NewConn(near, false, false), in)
		_ = near.Close()
		cancel()
		select {
		case <-served:
		case <-time.After(patience):
			t.Fatal("the server does not end")
		}
	})
}

// play says what is in the input. A first name that begins with "-" is sent in place of
// the handshake, one with "+" opens a channel.
func play(t *testing.T, conn *chisel.Conn, in []byte) {
	defer conn.Close()
	kind, payload, rest := cut(in)
	if kind != "" && kind[0] == '-' {
		_, _ = conn.Write(append([]byte(kind[1:]), payload...))
		_, _ = io.ReadFull(conn, make([]byte, 22))
		return
	}
	secured, channels, requests, err := ssh.NewClientConn(conn, "", &ssh.ClientConfig{
		Auth: []ssh.AuthMethod{ssh.Password("")}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer secured.Close()
	go ssh.DiscardRequests(requests)
	go func() {
		for opened := range channels {
			_ = opened.Reject(ssh.Prohibited, "")
		}
	}()
	for ; kind != "" || len(rest) > 0; kind, payload, rest = cut(rest) {
		if kind != "" && kind[0] == '+' {
			_, _, _ = secured.OpenChannel(kind[1:], payload)
			continue
		}
		ok, answer, err := secured.SendRequest(kind, true, payload)
		if kind == "ping" && err == nil && (!ok || !bytes.Equal(answer, []byte("pong"))) {
			t.Errorf("ping: %v, %q", ok, answer)
		}
	}
}

// cut takes one pair off.
func cut(in []byte) (kind string, payload, rest []byte) {
	if len(in) == 0 {
		return "", nil, nil
	}
	n := min(int(in[0]), len(in)-1)
	kind, in = string(in[1:1+n]), in[1+n:]
	if len(in) < 2 {
		return kind, nil, nil
	}
	n = min(int(binary.BigEndian.Uint16(in)), len(in)-2)
	return kind, in[2 : 2+n], in[2+n:]
}
