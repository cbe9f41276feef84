package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/internal/testkit/pebble"
)

const (
	bareDomain = "tunnels.example.net"
	bareAddr   = "198.18.7.7"
)

// bareHost is a machine on which nothing is installed: with an address, a resolver, and a
// service manager that does what systemd does.
type bareHost struct {
	*place
	binary string
}

// newBareHost makes it. Nobody answers its questions to the DNS yet.
func newBareHost(t *testing.T) *bareHost {
	t.Helper()
	h := &bareHost{place: newPlace(t, "bare", "198.18.7.1/24", bareAddr+"/24")}
	h.run("ip", "route", "add", "default", "via", "198.18.7.1")
	// What is installed is installed here alone.
	etc := h.directory("etc")
	h.run("cp", "-a", "/etc/.", etc)
	h.run("mount", "--bind", etc, "/etc")
	for _, dir := range []string{"/var/lib", "/usr/local/bin", "/run"} {
		h.run("mount", "-t", "tmpfs", "tmpfs", dir)
	}
	h.run("mkdir", "-p", "/run/systemd/system", "/etc/systemd/system")
	h.run("sh", "-c", "rm -f /etc/resolv.conf; echo 'nameserver 198.18.7.1' > /etc/resolv.conf")
	script, err := os.ReadFile("testdata/systemctl.py")
	if err != nil {
		t.Fatal(err)
	}
	bin := h.directory("bin")
	for name, text := range map[string]string{"systemctl": string(script), "journalctl": "#!/bin/sh\ncat /run/stand-in/journal\n"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.binary = filepath.Join(h.dir, "postern")
	if err := program.Copy(posternBinary, h.binary); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill := h.in("sh", "-c", "kill $(cat /run/stand-in/*.service)")
		_ = exec.Command(kill[0], kill[1:]...).Run() // it may never have started
	})
	return h
}

// resolves starts a DNS server that has the records, as flags of dnsmasq, and knows nothing
// else.
func (h *bareHost) resolves(t *testing.T, records ...string) *process {
	t.Helper()
	argv := append([]string{"dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=53",
		"--listen-address=198.18.7.1", "--bind-interfaces", "--local=/#/", "--pid-file"}, records...)
	server := startProcess(t, "dns", nil, argv...)
	eventually(t, 20*time.Second, func() error {
		if server.exited() {
			return fmt.Errorf("the DNS server has ended: %s", server.output())
		}
		conn, err := net.Dial("tcp", "198.18.7.1:53")
		if err == nil {
			conn.Close()
		}
		return err
	})
	return server
}

// setup runs "postern server setup" on the machine.
func (h *bareHost) setup(input string, args ...string) (status int, output string) {
	h.t.Helper()
	argv := append([]string{"env", "PATH=" + filepath.Join(h.dir, "bin") + ":" + os.Getenv("PATH"), h.binary, "server", "setup"}, args...)
	in, err := os.CreateTemp(h.dir, "input")
	if err != nil {
		h.t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString(input); err != nil {
		h.t.Fatal(err)
	}
	p := startProcess(h.t, "setup", nil, h.in(append([]string{"sh", "-c", `exec "$@" < ` + in.Name(), "setup"}, argv...)...)...)
	return p.wait(2 * time.Minute), p.output()
}

// has fails the test unless the text matches every pattern.
func has(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(text) {
			t.Errorf("nothing matches %q in\n%s", pattern, text)
		}
	}
}

// The first public URL from a bare machine, as docs/install.md has it, and all of it again:
// every failed check says what to change, nothing that is there is lost.
func TestFromABareMachineToTheFirstURL(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	h := newBareHost(t)
	names := h.resolves(t)
	flags := []string{"--tls-mode", "local_ca", "--domain", bareDomain}

	// 1. Nothing is prepared: DNS has nothing, and another program has a port.
	web := h.start("web", "python3", "-m", "http.server", "443")
	h.awaitPort(web, 443)
	status, said := h.setup("", append(flags, "--check")...)
	if status != 1 {
		t.Errorf("the checks of a bare machine end with %d:\n%s", status, said)
	}
	has(t, said, `public addresses: `+bareAddr, `^fail +dns \*\.tunnels\.example\.net +there is no such record`, `→ +\*\.tunnels\.example\.net\. +A +`+bareAddr,
		`^fail +port 443/tcp +python3\S* \(process \d+\) listens there`, `^ok +port 80/tcp`, `^unseen +reachable from outside`, `ERR_POSTERN_420`)
	if status, said = h.setup("", append(flags, "--yes")...); status != 1 {
		t.Errorf("setup went on after failed checks:\n%s", said)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "etc/postern")); err == nil {
		t.Error("a run that failed its checks has written something")
	}
	kill(web)

	// 2. The record is made, the port is free: one run, with answers from a person.
	kill(names)
	h.resolves(t, "--address=/"+bareDomain+"/"+bareAddr)
	status, said = h.setup("tunnels.example.net\nn\nn\n")
	if status != 0 {
		t.Fatalf("setup ended with %d:\n%s\n%s", status, said, h.run("sh", "-c", "cat /run/stand-in/journal || true"))
	}
	has(t, said, `^ok +dns \*\.tunnels\.example\.net`, `/etc/postern/server\.yml will be written`, `Made the user postern`, `Copied this program to /usr/local/bin/postern`,
		`Installed the service postern-server`, `The server is ready`, `connect\.tunnels\.example\.net has a certificate, issued by `, `^API key: +\S+`, `^ +postern login https://tunnels\.example\.net --token \S+ --ca-pin sha256:`)
	owner := h.run("sh", "-c", "ps -o user= -p $(cat /run/stand-in/postern-server.service); stat -c '%U %a' /var/lib/postern /etc/postern/server.yml")
	has(t, owner, `^postern\s`, `^postern 700$`, `^root 640$`)

	// 3. What it printed leads to a public URL.
	h.firstURL(t, regexp.MustCompile(`postern (login https://\S+ --token \S+ --ca-pin \S+)`).FindStringSubmatch(said)[1])

	// 4. Again: nothing changes, and no key is shown.
	status, said = h.setup("", "--yes")
	if status != 0 || strings.Contains(said, "API key:") {
		t.Errorf("the second run ended with %d:\n%s", status, said)
	}
	has(t, said, `^ok +port 443/tcp +the server has it`, `server\.yml is as it should be`, `postern-server is as it should be`, `The server is ready`, `Its keys were shown when it was made`)

	// 5. A change: shown, refused without consent, taken up without a restart.
	pid := h.run("cat", "/run/stand-in/postern-server.service")
	status, said = h.setup("", "--yes", "--limits-connections", "12345")
	if status != 1 {
		t.Errorf("a configuration was replaced without consent: %d\n%s", status, said)
	}
	has(t, said, `^\+limits:`, `^\+  connections: 12345`, `ERR_POSTERN_421`)
	status, said = h.setup("y\n", "--limits-connections", "12345")
	if status != 0 {
		t.Errorf("the change ended with %d:\n%s", status, said)
	}
	has(t, said, `takes the change up`, `The server is ready`)
	if h.run("cat", "/run/stand-in/postern-server.service") == pid {
		t.Error("no other process serves after the change")
	}
	has(t, h.run("cat", "/etc/postern/server.yml"), `connections: 12345`)
}

// With ACME, the way that is proposed: each name gets its certificate from an authority, which
// comes to the machine for proof.
func TestSetupWithAnAuthority(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	h := newBareHost(t)
	h.resolves(t, "--address=/"+bareDomain+"/"+bareAddr)
	issuer := pebble.Start(t, pebble.Config{HTTPPort: 80, TLSPort: 443, DNS: "198.18.7.1:53", Listen: "198.18.7.1:14000"})
	vouches, err := os.ReadFile(issuer.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	root, directoryRoot := h.file("root.pem", issuer.RootPEM), h.file("directory.pem", string(vouches))
	flags := []string{"--yes", "--domain", bareDomain, "--email", "operator@example.net", "--acme-directory", issuer.Directory}
	status, said := h.setup("", append(flags, "--check")...)
	if status != 1 {
		t.Errorf("an authority that nobody vouches for passes the checks:\n%s", said)
	}
	has(t, said, `^fail +acme +`, `tls\.ca_root`)
	status, said = h.setup("", append(flags, "--acme-ca-root", directoryRoot)...)
	if status != 0 {
		t.Fatalf("setup ended with %d:\n%s\n%s", status, said, h.run("sh", "-c", "cat /run/stand-in/journal || true"))
	}
	has(t, said, `^ok +acme +`, `connect\.tunnels\.example\.net has a certificate, issued by .*Pebble`)
	has(t, h.run("cat", "/etc/postern/server.yml"), `mode: acme`, `email: operator@example\.net`)
	if strings.Contains(said, "--ca-pin") {
		t.Errorf("agents are told to pin what the world vouches for:\n%s", said)
	}

	site := h.directory("site")
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("hello, world"), 0o644); err != nil {
		t.Fatal(err)
	}
	token := regexp.MustCompile(`Authtoken: +(\S+)`).FindStringSubmatch(said)[1]
	agent := h.start("agent", "env", "HOME="+h.directory("home"), h.binary, "http", "file://"+site, "--url", "https://app."+bareDomain, "--log", "stdout",
		"--authtoken", token, "--connect-url", "connect."+bareDomain+":443", "--connect-cas", root)
	agent.waitFor("https://app."+bareDomain, 30*time.Second)
	eventually(t, 60*time.Second, func() error {
		if page := h.run("sh", "-c", "curl --silent --show-error --cacert "+root+" https://app."+bareDomain+"/ 2>&1 || true"); page != "hello, world" {
			return fmt.Errorf("the page says %q", page)
		}
		return nil
	})
}

// firstURL logs in and takes an endpoint online with the commands that setup printed, and
// visits it as anybody would.
func (h *bareHost) firstURL(t *testing.T, login string) {
	t.Helper()
	home := h.directory("home")
	site := h.directory("site")
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("hello, world"), 0o644); err != nil {
		t.Fatal(err)
	}
	environment := []string{"env", "HOME=" + home, h.binary}
	h.run(append(environment, strings.Fields(login)...)...)
	agent := h.start("agent", append(environment, "http", "file://"+site, "--url", "https://app."+bareDomain, "--log", "stdout")...)
	agent.waitFor("https://app."+bareDomain, 30*time.Second)
	h.run("cp", "/var/lib/postern/ca/ca.pem", filepath.Join(h.dir, "root.pem"))
	eventually(t, 30*time.Second, func() error {
		page := h.run("curl", "--silent", "--show-error", "--cacert", filepath.Join(h.dir, "root.pem"), "https://app."+bareDomain+"/")
		if page != "hello, world" {
			return fmt.Errorf("the page says %q", page)
		}
		return nil
	})
	kill(agent)
}

// With --dns the machine answers for the zone of targets and for agent ingresses: what was
// delegated to it is found so by its own check, and an agent reaches it by a name that it
// alone knows.
func TestSetupOfAServerThatAnswersDNS(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	h := newBareHost(t)
	h.resolves(t, "--address=/"+bareDomain+"/"+bareAddr, "--server=/dns."+bareDomain+"/"+bareAddr, "--server=/"+ingress+"/"+bareAddr)
	flags := []string{"--yes", "--tls-mode", "local_ca", "--domain", bareDomain, "--dns"}
	status, said := h.setup("", flags...)
	if status != 0 {
		t.Fatalf("setup ended with %d:\n%s\n%s", status, said, h.run("sh", "-c", "cat /run/stand-in/journal || true"))
	}
	has(t, said, `^ok +port 53/udp`, `^ok +port 53/tcp`, `dns: ":53"`, `regions: \["?local=`+bareAddr)
	token := regexp.MustCompile(`Authtoken: +(\S+)`).FindStringSubmatch(said)[1]
	key := regexp.MustCompile(`API key: +(\S+)`).FindStringSubmatch(said)[1]

	status, said = h.setup("", "--check")
	if status != 0 {
		t.Errorf("the check ends with %d:\n%s", status, said)
	}
	has(t, said, `^ok +dns dns\.tunnels\.example\.net NS +is delegated to the server`, `^ok +dns ns1\.tunnels\.example\.net`, `^ok +port 53/udp +the server has it`)

	root := filepath.Join(h.dir, "root.pem")
	h.run("cp", "/var/lib/postern/ca/ca.pem", root)
	made := h.run("curl", "--silent", "--show-error", "--cacert", root, "https://api."+bareDomain+"/agent_ingresses",
		"-H", "Authorization: Bearer "+key, "-H", "Content-Type: application/json", "-H", "Ngrok-Version: 2", "-d", `{"domain":"`+ingress+`"}`)
	has(t, made, `"tunnel\.local\.`+ingress+`"`)
	site := h.directory("site")
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("hello, world"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.run("cp", "/var/lib/postern/ca/custom-ca.pem", filepath.Join(h.dir, "custom.pem"))
	eventually(t, 30*time.Second, func() error {
		if out := h.run("sh", "-c", "dig +short tunnel.local."+ingress); strings.TrimSpace(out) != bareAddr {
			return fmt.Errorf("the ingress resolves to %q", out)
		}
		return nil
	})
	for name, server := range map[string]string{"apex": ingress, "region": "tunnel.local." + ingress} {
		address := "https://" + name + "." + bareDomain
		agent := h.start("agent", "env", "HOME="+h.directory("home"), h.binary, "http", "file://"+site, "--url", address, "--log", "stdout",
			"--authtoken", token, "--connect-url", server+":443", "--connect-cas", filepath.Join(h.dir, "custom.pem"))
		agent.waitFor(address, 30*time.Second)
		if page := h.run("curl", "--silent", "--show-error", "--retry", "5", "--retry-all-errors", "--cacert", root, address+"/"); page != "hello, world" {
			t.Errorf("%s says %q", address, page)
		}
		kill(agent)
	}
}
