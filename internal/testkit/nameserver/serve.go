package nameserver

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

// Serve answers on a loopback port, over UDP and TCP, until the test ends.
func Serve(t testing.TB, h Handler) netip.AddrPort {
	t.Helper()
	return listen(t, &miekg.Server{Handler: miekg.HandlerFunc(func(w miekg.ResponseWriter, query *miekg.Msg) {
		if answer := h(query); answer != nil {
			_ = w.WriteMsg(answer)
		}
	})})
}

// listen serves as a server says that has no sockets, on a loopback port that is the same
// over UDP and TCP, until the test ends.
func listen(t testing.TB, as *miekg.Server) netip.AddrPort {
	t.Helper()
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(streams.Addr().String())
	datagrams, err := net.ListenPacket("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	both := []*miekg.Server{
		{Listener: streams, Handler: as.Handler, TsigSecret: as.TsigSecret, MsgAcceptFunc: as.MsgAcceptFunc},
		{PacketConn: datagrams, Handler: as.Handler, TsigSecret: as.TsigSecret, MsgAcceptFunc: as.MsgAcceptFunc},
	}
	var serving sync.WaitGroup
	for _, server := range both {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() {
			if err := server.ActivateAndServe(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
		<-started
	}
	t.Cleanup(func() {
		for _, server := range both {
			_ = server.Shutdown()
		}
		serving.Wait()
	})
	return at
}
