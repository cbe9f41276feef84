package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// sshUser is somebody with OpenSSH and a key, and without an agent.
type sshUser struct {
	s    *server
	dir  string
	port int // where ssh connects
	id   string
}

// sshUser makes a key, and has it be an SSH credential with these rules.
func (s *server) sshUser(acl ...string) *sshUser {
	s.t.Helper()
	u := &sshUser{s: s, dir: s.t.TempDir(), port: s.https}
	run(s.t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "somebody", "-f", filepath.Join(u.dir, "id"))
	public, err := os.ReadFile(filepath.Join(u.dir, "id.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := s.sshCredentials().Create(s.t.Context(), resource.SSHCredentialCreate{PublicKey: string(public), ACL: acl})
	if err != nil {
		s.t.Fatal(err)
	}
	u.id = made.ID
	host, err := os.ReadFile(filepath.Join(filepath.Dir(s.Config), "data", "ssh_host_ed25519_key.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	u.trust(fmt.Sprintf("[127.0.0.1]:%d %s", u.port, host))
	return u
}

func (s *server) sshCredentials() client.Resources[resource.SSHCredential, resource.SSHCredentialCreate, resource.SSHCredentialUpdate] {
	return client.For(s.api(), resource.SSHCredentials())
}

// trust writes known_hosts.
func (u *sshUser) trust(line string) {
	u.s.t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, "known_hosts"), []byte(strings.TrimSpace(line)+"\n"), 0o600); err != nil {
		u.s.t.Fatal(err)
	}
}

// argv is ssh's command line: what this machine is configured for plays no part.
func (u *sshUser) argv(args ...string) []string {
	return append([]string{"ssh", "-F", "none", "-p", fmt.Sprint(u.port), "-i", filepath.Join(u.dir, "id"),
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + filepath.Join(u.dir, "known_hosts"), "-o", "GlobalKnownHostsFile=/dev/null"}, args...)
}

// ssh runs it beside the test.
func (u *sshUser) ssh(args ...string) *process {
	u.s.t.Helper()
	return startProcess(u.s.t, "ssh", nil, u.argv(args...)...)
}

// echoUpstream is a TCP service that sends back what it gets, until the end.
func echoUpstream(t *testing.T) (address string) {
	t.Helper()
	return tcpService(t, func(conn net.Conn) {
		all, _ := io.ReadAll(conn) // answers only once the visitor has ended its half
		_, _ = conn.Write(all)
	})
}

func pageUpstream(t *testing.T, text string) (address string) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
	t.Cleanup(page.Close)
	return page.Listener.Addr().String()
}

// forwarded waits for the URL that the session shows behind a forward.
func (p *process) forwarded(forward string) (url string) {
	p.t.Helper()
	eventually(p.t, 15*time.Second, func() error {
		for line := range strings.Lines(p.output()) {
			fields := strings.Fields(line)
			if len(fields) >= 2 && fields[0] == "Forwarding" && strings.Contains(line, "(-R "+forward+")") {
				url = fields[1]
				return nil
			}
		}
		if p.exited() {
			return fmt.Errorf("ssh ended: %s", p.output())
		}
		return fmt.Errorf("ssh has shown %q", p.output())
	})
	return url
}

// With nothing but OpenSSH, through the port of everything else: a name of one's own, an
// assigned one, TCP with a port that the server chooses, and tls with the visitor's TLS
// untouched. The session shows the URLs and the API the session.
func TestSSHClientsBindEndpoints(t *testing.T) {
	s := startServer(t)
	u := s.sshUser()
	page, echo := pageUpstream(t, "no agent here"), echoUpstream(t)
	p := u.ssh("-R", "shop:80:"+page, "-R", "80:"+page, "-R", "0:"+echo, "anybody@127.0.0.1")

	for _, url := range []string{p.forwarded("shop:80"), p.forwarded("80")} {
		if _, body := fetch(t, s.visitor(), url); body != "no agent here" {
			t.Errorf("%s answers %q", url, body)
		}
	}
	p.waitFor("Allocated port ", 5*time.Second)
	port := s.TCPFirst
	_, rest, _ := strings.Cut(p.output(), "Allocated port ")
	if _, err := fmt.Sscan(rest, &port); err != nil {
		t.Fatal(err)
	}
	if url, want := p.forwarded(fmt.Sprint(port)), fmt.Sprintf("tcp://tcp.%s:%d", domain, port); url != want {
		t.Errorf("the TCP endpoint is shown as %s, want %s", url, want)
	}
	sent := random(t, 3<<20) // more than a window
	if got := halfClosed(t, fmt.Sprintf("127.0.0.1:%d", port), sent); !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, other than the %d that were sent", len(got), len(sent))
	}

	session := s.theSession()
	if session.Transport != "ssh" || !strings.HasPrefix(session.AgentVersion, "OpenSSH_") || session.Credential.ID != u.id {
		t.Errorf("the API shows %+v", session)
	}
	for action, code := range map[string]string{"stop": "ERR_NGROK_805", "restart": "ERR_NGROK_804"} {
		err := s.act(session.ID, action)
		if err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s gave %v, want %s", action, err, code)
		}
	}
}

// halfClosed sends and ends, and reads what comes back.
func halfClosed(t *testing.T, address string, sent []byte) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(got), err)
	}
	return got
}

// The command of the ssh line says what the port does not: ngrok's forms.
func TestCommandsOfSSHClients(t *testing.T) {
	s := startServer(t)
	u := s.sshUser()
	certificate, pool := selfSigned(t, "mail."+domain)
	secured := &tls.Config{Certificates: []tls.Certificate{certificate}}
	mail := tcpService(t, func(conn net.Conn) {
		over := tls.Server(conn, secured)
		_, _ = io.WriteString(over, "220 mail\r\n")
		_ = over.Close()
	})
	p := u.ssh("-R", "0:"+mail, "v2@127.0.0.1", "tls", "25", "--url", "tls://mail."+domain)
	p.waitFor("Forwarding  tls://mail."+domain, 15*time.Second)
	conn, err := tls.Dial("tcp", s.ConnectURL(), &tls.Config{ServerName: "mail." + domain, RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "220 mail\r\n" {
		t.Errorf("the service behind its own TLS says %q, %v", line, err)
	}

	plain := u.ssh("-R", "443:"+pageUpstream(t, "plain"), "v2@127.0.0.1", "http", "8080", "--scheme=http", "--subdomain=plain", "--name", "'the page'")
	url := plain.forwarded("443")
	if want := fmt.Sprintf("http://plain.%s:%d", domain, s.http); url != want {
		t.Errorf("shown is %s, want %s", url, want)
	}
	if _, body := fetch(t, s.visitor(), url); body != "plain" {
		t.Errorf("%s answers %q", url, body)
	}
	wrong := u.ssh("127.0.0.1", "rm", "-rf", "/")
	if code := wrong.wait(10 * time.Second); code != 2 || !strings.Contains(wrong.output(), "ERR_POSTERN_211") {
		t.Errorf("a command that there is not ended with %d: %s", code, wrong.output())
	}
}

// A key's ACL holds for what it binds, at once when it is narrowed, and the key's
// end is its sessions' end, within a second.
func TestACLAndEndOfAnSSHKey(t *testing.T) {
	s := startServer(t)
	u := s.sshUser("bind:*.team." + domain)
	page := pageUpstream(t, "team")
	refused := u.ssh("-R", "shop:80:"+page, "127.0.0.1")
	if code := refused.wait(10 * time.Second); code != 1 || !strings.Contains(refused.output(), "ERR_NGROK_") || !strings.Contains(refused.output(), "shop."+domain) {
		t.Errorf("ssh ended with %d: %s", code, refused.output())
	}
	p := u.ssh("-R", "a.team."+domain+":443:"+page, "-R", "b.team."+domain+":443:"+page, "127.0.0.1")
	a, b := p.forwarded("a.team."+domain+":443"), p.forwarded("b.team."+domain+":443")
	if _, body := fetch(t, s.visitor(), a); body != "team" {
		t.Fatalf("%s answers %q", a, body)
	}

	narrow := []string{"bind:b.team." + domain}
	if _, err := s.sshCredentials().Update(t.Context(), u.id, resource.SSHCredentialUpdate{ACL: &narrow}); err != nil {
		t.Fatal(err)
	}
	s.offline("a.team", time.Now())
	p.waitFor("Ended       "+a, 2*time.Second)
	if _, body := fetch(t, s.visitor(), b); body != "team" {
		t.Errorf("%s answers %q", b, body)
	}

	began := time.Now()
	if err := s.sshCredentials().Delete(t.Context(), u.id); err != nil {
		t.Fatal(err)
	}
	s.offline("b.team", began)
	if code := p.wait(time.Until(began.Add(2 * time.Second))); code != 3 || !strings.Contains(p.output(), "ERR_NGROK_300") {
		t.Errorf("ssh ended with %d: %s", code, p.output())
	}
	again := u.ssh("-R", "b.team."+domain+":443:"+page, "127.0.0.1")
	if code := again.wait(10 * time.Second); code != 255 || !strings.Contains(again.output(), "Permission denied") {
		t.Errorf("the deleted key: %d: %s", code, again.output())
	}
}

// The host key stays over a restart, and a certificate that the account's authority has
// made for it is shown to clients that trust the authority and have never been here. The
// extra listener serves the same.
func TestSSHHostKeysAndCertificates(t *testing.T) {
	extra := freePorts(t, 1)[0]
	listening := fmt.Sprintf("  ssh: 127.0.0.1:%d", extra)
	s := startServer(t, listening)
	u := s.sshUser()
	page := pageUpstream(t, "certified")
	use := func() {
		t.Helper()
		p := u.ssh("-R", "certified:80:"+page, "127.0.0.1")
		if _, body := fetch(t, s.visitor(), p.forwarded("certified:80")); body != "certified" {
			t.Errorf("the endpoint answers %q", body)
		}
		p.end()
	}
	use()

	data := filepath.Join(filepath.Dir(s.Config), "data")
	public, err := os.ReadFile(filepath.Join(data, "ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := client.For(s.api(), resource.SSHCertificateAuthorities()).Create(t.Context(), resource.SSHCertificateAuthorityCreate{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.For(s.api(), resource.SSHHostCertificates()).Create(t.Context(), resource.SSHHostCertificateCreate{
		SSHCertificateAuthorityID: authority.ID, PublicKey: string(public), Principals: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "host-cert.pub")
	if err := os.WriteFile(file, []byte(made.Certificate+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(listening, "ssh:", "  host_certificates: ["+file+"]"); err != nil {
		t.Fatal(err)
	}
	s.restart()
	use() // the key is the same
	u.trust("@cert-authority 127.0.0.1 " + authority.PublicKey)
	u.port = extra
	u.trust(fmt.Sprintf("@cert-authority [127.0.0.1]:%d %s", extra, authority.PublicKey))
	use()
	u.trust(fmt.Sprintf("[127.0.0.1]:%d ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOvexxaXFlEl+OeHYPvrejXNrrkMZYt1OX2M+do9y+LS", extra))
	stranger := u.ssh("-R", "certified:80:"+page, "127.0.0.1")
	if code := stranger.wait(10 * time.Second); code != 255 || !strings.Contains(stranger.output(), "Host key verification failed") {
		t.Errorf("a server with another key than the known one: %d: %s", code, stranger.output())
	}
}

// What SSH servers do besides remote forwards, this one does not, and says so.
func TestSSHClientsGetNothingElse(t *testing.T) {
	s := startServer(t)
	u := s.sshUser()
	inward := exec.CommandContext(t.Context(), "ssh", u.argv("-W", fmt.Sprintf("127.0.0.1:%d", s.admin), "127.0.0.1")[1:]...)
	output, err := inward.CombinedOutput()
	if err == nil || !bytes.Contains(output, []byte("administratively prohibited")) {
		t.Errorf("a connection into the server's network: %v: %s", err, output)
	}
	idle := u.ssh("127.0.0.1")
	idle.waitFor("Nothing is forwarded", 10*time.Second)
	sftp := u.ssh("-s", "127.0.0.1", "sftp")
	if code := sftp.wait(10 * time.Second); code != 255 || !strings.Contains(sftp.output(), "subsystem request failed") {
		t.Errorf("sftp: %d: %s", code, sftp.output())
	}
}

// When the server stops, sessions say so beforehand; ssh ends, and whoever runs it in a loop is back
// with the same name as soon as the server is.
func TestSSHSessionsEndWithTheServer(t *testing.T) {
	s := startServer(t)
	u := s.sshUser()
	page := pageUpstream(t, "still here")
	p := u.ssh("-R", "80:"+page, "127.0.0.1")
	url := p.forwarded("80")
	s.process.signal(syscall.SIGTERM)
	if code := p.wait(20 * time.Second); code != 3 || !strings.Contains(p.output(), "ERR_POSTERN_104") {
		t.Errorf("ssh ended with %d: %s", code, p.output())
	}
	s.process.wait(40 * time.Second)
	s.start()
	if again := u.ssh("-R", "80:"+page, "127.0.0.1").forwarded("80"); again != url {
		t.Errorf("the name was %s and is %s", url, again)
	}
	if _, body := fetch(t, s.visitor(), url); body != "still here" {
		t.Errorf("%s answers %q", url, body)
	}
}

// act has the API do something with a session.
func (s *server) act(id, action string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://api.%s:%d/tunnel_sessions/%s/%s", domain, s.https, id, action), strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.APIKey)
	request.Header.Set("Ngrok-Version", "2")
	request.Header.Set("Content-Type", "application/json")
	response, err := s.visitor().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 300 {
		return nil
	}
	body, _ := io.ReadAll(response.Body)
	return postern.Errorf(postern.CodeCommandFailed, "%s: %s", response.Status, body)
}

// An upgrade hands the listener for SSH over; sessions of the process before end in a
// pause of their traffic, with a word, and a client in a loop is back with its name, of
// which a visitor who asks meanwhile sees nothing but the wait.
func TestSSHDuringAnUpgrade(t *testing.T) {
	port := freePorts(t, 1)[0]
	s := startServer(t, fmt.Sprintf("  ssh: 127.0.0.1:%d", port))
	u := s.sshUser()
	host, err := os.ReadFile(filepath.Join(filepath.Dir(s.Config), "data", "ssh_host_ed25519_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	u.port = port
	u.trust(fmt.Sprintf("[127.0.0.1]:%d %s", port, host))
	page := pageUpstream(t, "in a loop")
	loop := startProcess(t, "ssh in a loop", nil, append([]string{"sh", "-c", `while :; do "$@"; done`, "loop"},
		u.argv("-R", "looping:80:"+page, "127.0.0.1")...)...)
	url := loop.forwarded("looping:80")
	old := s.upgrade()
	loop.waitFor("ERR_POSTERN_104", 20*time.Second)
	old.waitFor("session ended", 10*time.Second)
	awaitBody(t, s.visitor(), url, "in a loop", 10*time.Second)
}
