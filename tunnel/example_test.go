package tunnel_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern/tunnel"
)

// A web server that visitors reach although this machine accepts no connections.
// POSTERN_CONNECT_URL and POSTERN_AUTHTOKEN say where to connect.
func ExampleListen() {
	listener, err := tunnel.Listen(context.Background(), tunnel.Options{Name: "hello"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("online at", listener.URL())
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", r.RemoteAddr)
	})))
}

// A service that listens already, at a name of its own.
func ExampleForward() {
	forwarder, err := tunnel.Forward(context.Background(), "http://localhost:8080", tunnel.Options{
		URL:        "https://app.example.com",
		HostHeader: "rewrite",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer forwarder.Close()
	fmt.Println(forwarder.URL(), "->", forwarder.Upstream())
}

// A database behind a private gateway, and an HTTP service beside it, over one session.
func ExampleClient() {
	client, err := tunnel.NewClient(tunnel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := client.Dial(ctx, "development", "tcp", 5432)
	if err != nil {
		log.Fatal(err) // for example ERR_POSTERN_607: the ACL has no access:development:5432
	}
	defer conn.Close()

	web := http.Client{Transport: &http.Transport{DialContext: client.DialContext}}
	response, err := web.Get("http://development:8081/")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
}

// Names are looked up at a DNS server behind a private gateway.
func ExampleClient_Dial_udp() {
	client, err := tunnel.NewClient(tunnel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return client.Dial(ctx, "development", network, 53)
	}}
	fmt.Println(resolver.LookupHost(context.Background(), "db.corp.example"))
}

// One connection, whose session ends with it.
func ExampleDial() {
	conn, err := tunnel.Dial(context.Background(), "development", "tcp", 22, tunnel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	banner := make([]byte, 256)
	n, err := conn.Read(banner)
	fmt.Println(string(banner[:n]), err)
}

// What goes wrong has a documented code: here nobody listens at the server's
// address, and the context allows a moment only.
func ExampleListen_errors() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := tunnel.Listen(ctx, tunnel.Options{Server: "localhost:1", Authtoken: "id_secret"})
	fmt.Println(strings.Contains(fmt.Sprint(err), "ERR_POSTERN_406"))
	// Output: true
}

var _ io.Closer = (*tunnel.Listener)(nil)
