package chisel_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/relay"
)

// listening is a Registrar that opens the ports of remotes and relays, as a gateway does.
type listening struct{}

func (listening) Region() string { return "bench" }

func (listening) Admit(_ context.Context, s link.Session, _ link.Hello) (link.Binder, link.Welcome, error) {
	return &listeningBinder{session: s}, link.Welcome{}, nil
}

type listeningBinder struct {
	link.Binder // what is not needed
	session     link.Session
	open        []io.Closer
}

func (b *listeningBinder) Bind(_ context.Context, r link.BindRequest) (link.Bound, error) {
	bound := link.Bound{ID: r.Name}
	address := "127.0.0.1:" + strconv.Itoa(int(r.URL.Port))
	if r.URL.Scheme == "udp" {
		conn, err := net.ListenPacket("udp", address)
		if err != nil {
			return bound, err
		}
		b.open = append(b.open, conn)
		go b.datagrams(conn.(*net.UDPConn), r.Name)
		return bound, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return bound, err
	}
	b.open = append(b.open, listener)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.relay(conn.(*net.TCPConn), r.Name)
		}
	}()
	return bound, nil
}

func (b *listeningBinder) relay(conn *net.TCPConn, endpoint string) {
	defer conn.Close()
	st, err := b.session.Open(context.Background(), link.Header{Endpoint: endpoint, Scheme: postern.TCP}, nil)
	if err != nil {
		return
	}
	relay.Pipe(context.Background(), conn, st, relay.Options{Idle: 10 * time.Minute})
}

// datagrams gives each source a flow.
func (b *listeningBinder) datagrams(conn *net.UDPConn, endpoint string) {
	flows := map[netip.AddrPort]link.Stream{}
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer[2:])
		if err != nil {
			return
		}
		st := flows[from]
		if st == nil {
			if st, err = b.session.Open(context.Background(), link.Header{Endpoint: endpoint, ClientAddr: from}, nil); err != nil {
				return
			}
			flows[from] = st
			go func() {
				for {
					p, err := readFramed(st)
					if err != nil {
						return
					}
					_, _ = conn.WriteToUDPAddrPort(p, from)
				}
			}()
		}
		buffer[0], buffer[1] = byte(n>>8), byte(n)
		_, _ = st.Write(buffer[:2+n])
	}
}

func (b *listeningBinder) Release(error) {
	for _, one := range b.open {
		_ = one.Close()
	}
}

// runOurs is our server in a process of its own.
func runOurs(address string) error {
	logger := discard()
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := chisel.Accept(w, r, nil, netip.Addr{})
		if err != nil {
			return
		}
		hello := chisel.HelloOf(r)
		go chisel.Serve(context.Background(), conn, chisel.Config{Registrar: listening{}, Logger: logger, HostKey: testKey(), Hello: hello})
	}))
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// runOurClient is our client in a process of its own: it dials what it declares.
func runOurClient(server, target, remote string) error {
	r, err := chisel.ParseRemote(remote)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return err
	}
	client, err := chisel.Dial(context.Background(), conn, chisel.ClientConfig{
		Host: server, Path: "/", Remotes: []chisel.Offer{{Endpoint: "it", Remote: r}}, Logger: discard()})
	if err != nil {
		return err
	}
	for {
		_, st, err := client.Accept(context.Background())
		if err != nil {
			return err
		}
		go func() {
			out, err := net.Dial("tcp", target)
			if err != nil {
				st.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "%v", err))
				return
			}
			relay.Pipe(context.Background(), out.(*net.TCPConn), st, relay.Options{Idle: 10 * time.Minute})
		}()
	}
}
