package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/postern-dev/postern/internal/testkit/postgres"
)

// run executes a visitor's program to its end.
func run(t *testing.T, environment []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, output)
	}
	return string(output)
}

func awaitListen(t *testing.T, address string) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// nginx with a static folder, a range request, a large download, keep-alive and a
// redirect that names the visitor's host.
func TestNginxBehindTheFirewall(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	big := random(t, 32<<20)
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), big, 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 1)[0]
	config := fmt.Sprintf(`daemon off; pid %[1]s/nginx.pid; error_log %[1]s/error.log; user root;
events {}
http { access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
 server { listen 127.0.0.1:%[2]d; root %[1]s; location = /old { return 302 $http_x_forwarded_proto://$http_host/big.bin; } } }`, dir, port)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	startProcess(t, "nginx", nil, "nginx", "-p", dir, "-c", path)
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", port))

	s := startServer(t)
	_, url := s.agent("http", fmt.Sprint(port))
	visitor := s.visitor()
	_, body := fetch(t, visitor, url+"/big.bin")
	if sha256.Sum256([]byte(body)) != sha256.Sum256(big) {
		t.Error("the download differs from the file")
	}
	request, _ := http.NewRequest("GET", url+"/big.bin", nil)
	request.Header.Set("Range", "bytes=1000-1099")
	response, err := visitor.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	part, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusPartialContent || !bytes.Equal(part, big[1000:1100]) {
		t.Errorf("range request: %s, %d bytes", response.Status, len(part))
	}
	redirect, _ := fetch(t, visitor, url+"/old")
	if got := redirect.Header.Get("Location"); got != url+"/big.bin" {
		t.Errorf("redirect to %q, want %q", got, url+"/big.bin")
	}
}

// A Node service: JSON in and out, an upload of unknown length, trailers.
func TestNodeServiceBehindTheFirewall(t *testing.T) {
	script := filepath.Join(t.TempDir(), "service.mjs")
	port := freePorts(t, 1)[0]
	source := fmt.Sprintf(`import http from "node:http"; import crypto from "node:crypto";
http.createServer((q, r) => {
  const hash = crypto.createHash("sha256"); let n = 0;
  q.on("data", d => { hash.update(d); n += d.length; });
  q.on("end", () => {
    r.setHeader("Trailer", "Checksum"); r.writeHead(200, {"Content-Type": "application/json"});
    r.write(JSON.stringify({n, chunked: q.headers["transfer-encoding"] === "chunked"}));
    r.addTrailers({Checksum: hash.digest("hex")}); r.end();
  });
}).listen(%d, "127.0.0.1");`, port)
	if err := os.WriteFile(script, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	startProcess(t, "node service", nil, "node", script)
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", port))

	s := startServer(t)
	_, url := s.agent("http", fmt.Sprintf("localhost:%d", port))
	upload := random(t, 8<<20)
	response, err := s.visitor().Post(url+"/upload", "application/octet-stream", io.MultiReader(bytes.NewReader(upload)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != fmt.Sprintf(`{"n":%d,"chunked":true}`, len(upload)) {
		t.Errorf("answer %s %v", body, err)
	}
	if got, want := response.Trailer.Get("Checksum"), fmt.Sprintf("%x", sha256.Sum256(upload)); got != want {
		t.Errorf("trailer %q, want %q", got, want)
	}
}

// gRPC end to end over HTTP/2: unary, server streaming, a status in trailers, a
// deadline that cancels upstream.
func TestGRPCBehindTheFirewall(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := grpc.NewServer()
	checker := health.NewServer()
	healthpb.RegisterHealthServer(service, checker)
	go service.Serve(listener) //nolint:errcheck // ends with Stop
	defer service.Stop()

	s := startServer(t)
	_, url := s.agent("http", listener.Addr().String(), "--upstream-protocol", "http2", "--url", "https://grpc."+domain)
	host := strings.TrimPrefix(url, "https://")
	conn, err := grpc.NewClient("passthrough:///"+host,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return s.DialContext(ctx, "tcp", address)
		}),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.pool()})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatalf("unary: %v", err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "absent"}); status.Code(err) != codes.NotFound {
		t.Errorf("status of an unknown service: %v", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVICE_UNKNOWN,
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		if want != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
			checker.SetServingStatus("mail", want)
		}
		update, err := watch.Recv()
		if err != nil || update.Status != want {
			t.Fatalf("stream: %v %v, want %v", update, err, want)
		}
	}
}

func TestWebSocketThroughOurAgent(t *testing.T) {
	upstream := httptest.NewServer(webSocketEcho())
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)
	echoOverWebSocket(t, s, url)
}

// Server-sent events reach the visitor when they are sent, not when a buffer is full.
func TestServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)
	response, err := s.visitor().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for n := range 3 {
		want := fmt.Sprintf("data: %d\n\n", n)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != want {
			t.Fatalf("event %d: %q %v", n, got, err)
		}
		next <- struct{}{}
	}
}

func TestSSHThroughATCPEndpoint(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"host", "visitor"} {
		run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name))
	}
	public, err := os.ReadFile(filepath.Join(dir, "visitor.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "authorized_keys"), public, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Logf("/run/sshd: %v", err) // sshd as an ordinary user does not need it
	}
	port := freePorts(t, 1)[0]
	startProcess(t, "sshd", nil, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", fmt.Sprint(port),
		"-o", "ListenAddress=127.0.0.1", "-o", "HostKey="+filepath.Join(dir, "host"), "-o", "PidFile=none", "-o", "StrictModes=no",
		"-o", "AuthorizedKeysFile="+filepath.Join(dir, "authorized_keys"), "-o", "PermitRootLogin=yes", "-o", "UsePAM=no")
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", port))

	s := startServer(t)
	_, url := s.agent("tcp", fmt.Sprint(port))
	_, publicPort, _ := net.SplitHostPort(strings.TrimPrefix(url, "tcp://"))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	output := run(t, nil, "ssh", "-p", publicPort, "-i", filepath.Join(dir, "visitor"), "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", me.Username+"@127.0.0.1", "echo through $((6*7))")
	if strings.TrimSpace(output) != "through 42" {
		t.Errorf("ssh printed %q", output)
	}
}

func TestPostgreSQLThroughATCPEndpoint(t *testing.T) {
	cluster, err := postgres.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	s := startServer(t)
	_, endpoint := s.agent("tcp", cluster.Addr())
	location, err := url.Parse(cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(endpoint, "tcp://"))
	location.Host = "127.0.0.1:" + port
	output := run(t, []string{"PGCONNECT_TIMEOUT=10"}, "psql", "-At", "-d", location.String(),
		"-c", "SELECT count(*), sum(length(repeat('x', 1000))) FROM generate_series(1, 20000)")
	if strings.TrimSpace(output) != "20000|20000000" {
		t.Errorf("psql printed %q", output)
	}
}
