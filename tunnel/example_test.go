package tunnel_test

import (
	"context"
	"fmt"
	"io"
	"log"
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
