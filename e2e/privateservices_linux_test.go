package e2e_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inside is the address of the private services, in a network that nobody routes to.
const inside = "192.168.0.3"

// startPrivateServices runs in place the services of a private network, as Debian has
// them, each at its usual port of the address inside; REST is at 8393.
func startPrivateServices(t *testing.T, p *place) {
	t.Helper()
	p.run("ip", "addr", "add", inside+"/32", "dev", "lo")
	services := []struct {
		port int
		made *process
	}{
		{8393, rest(p)}, {587, mail(p)}, {445, files(p)}, {2049, exports(p)},
		{5432, database(p)}, {53, resolver(p)}, {5201, measuring(p)},
	}
	for _, one := range services {
		p.awaitPort(one.made, one.port)
	}
}

func rest(p *place) *process {
	config := p.file("nginx.conf", fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen %[2]s:8393; location / { default_type application/json; return 200 '{"orders":[{"id":1}]}'; } }
}
`, p.dir, inside))
	return p.start("nginx", "nginx", "-c", config)
}

// mail delivers what it gets into the directory "mail".
func mail(p *place) *process {
	boxes := p.directory("mail")
	config := p.file("smtpd.conf", fmt.Sprintf(`listen on %s port 587 hostname mail.private.test
action "keep" maildir "%s" virtual { "@" = nobody }
match from any for any action "keep"
`, inside, boxes))
	for _, own := range []string{"/var/spool", "/run"} {
		p.run("mount", "-t", "tmpfs", "none", own)
	}
	p.run("mkdir", "-m", "0711", "/var/spool/smtpd")
	return p.start("smtpd", "smtpd", "-d", "-f", config)
}

func files(p *place) *process {
	share, state := p.directory("share"), p.directory("samba")
	config := p.file("smb.conf", fmt.Sprintf(`[global]
	interfaces = %[1]s
	bind interfaces only = yes
	server role = standalone server
	map to guest = Bad User
	guest account = nobody
	disable netbios = yes
	smb ports = 445
	private dir = %[2]s
	lock directory = %[2]s
	state directory = %[2]s
	cache directory = %[2]s
	pid directory = %[2]s
	ncalrpc dir = %[2]s/ncalrpc
	log file = %[2]s/log
[share]
	path = %[3]s
	guest ok = yes
	read only = no
`, inside, state, share))
	return p.start("smbd", "smbd", "--foreground", "--no-process-group", "--debug-stdout", "--configfile="+config)
}

func exports(p *place) *process {
	exported := p.directory("exported")
	p.file("exported/report.txt", "figures of the quarter\n")
	config := p.file("ganesha.conf", fmt.Sprintf(`NFS_CORE_PARAM { Bind_addr = %s; Protocols = 4; NFS_Port = 2049; Enable_NLM = false; Enable_RQUOTA = false; }
NFSV4 { Graceless = true; RecoveryRoot = "%s"; }
EXPORT { Export_Id = 1; Path = "%s"; Pseudo = /exported; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Transports = TCP; FSAL { Name = VFS; } }
`, inside, p.directory("recovery"), exported))
	return p.start("ganesha", "ganesha.nfsd", "-F", "-L", "/dev/stdout", "-f", config, "-p", filepath.Join(p.dir, "ganesha.pid"))
}

// database is a PostgreSQL server that lets "app" in without a password.
func database(p *place) *process {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		p.t.Fatal("PostgreSQL is not installed; run scripts/test-deps.sh test")
	}
	bin, data := found[len(found)-1], filepath.Join(p.directory("database"), "data")
	command := p.as("postgres", bin+"/initdb", "--no-sync", "--auth=trust", "--username=app", "--locale=C", "--encoding=UTF8", "--pgdata="+data)
	if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		p.t.Fatalf("initdb: %v\n%s", err, output)
	}
	hba := "host all app 0.0.0.0/0 trust\n"
	return startProcess(p.t, "postgres", nil, p.as("postgres", bin+"/postgres", "-D", data, "-h", inside, "-p", "5432", "-F",
		"-c", "unix_socket_directories=", "-c", "hba_file="+p.file("pg_hba.conf", hba))...)
}

func resolver(p *place) *process {
	return p.start("dnsmasq", "dnsmasq", "--no-daemon", "--no-hosts", "--no-resolv", "--listen-address="+inside, "--bind-interfaces",
		"--user=root", "--pid-file", "--address=/db.corp.test/10.9.8.7")
}

func measuring(p *place) *process { return p.start("iperf3", "iperf3", "-s", "-B", inside) }

// application is one use of a private service by an app, which reaches it at host and
// the port that it has there.
type application struct {
	name string
	port int // at host
	use  func(t *testing.T, p *place, host string, port int)
}

// applications are what the apps of these tests do, by the port of the service inside.
func applications() map[int]application {
	return map[int]application{
		8393: {"REST", 8081, useREST},
		587:  {"SMTP", 8082, useSMTP},
		445:  {"SMB", 8083, useSMB},
		2049: {"NFS", 8084, useNFS},
		5432: {"PostgreSQL", 8085, usePostgreSQL},
		53:   {"DNS", 8053, useDNS},
		5201: {"iperf3", 5201, useIperf},
	}
}

func expect(t *testing.T, what, want, got string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: %q is not in\n%s", what, want, got)
	}
}

func useREST(t *testing.T, p *place, host string, port int) {
	expect(t, "REST", `"orders"`, p.run("curl", "-sS", "--fail", "--max-time", "20", fmt.Sprintf("http://%s:%d/orders", host, port)))
}

func useSMTP(t *testing.T, p *place, host string, port int) {
	letter := p.file("letter", "From: app@cloud.test\r\nTo: ops@private.test\r\nSubject: through the gateway\r\n\r\nIt works.\r\n")
	p.run("curl", "-sS", "--max-time", "20", fmt.Sprintf("smtp://%s:%d/cloud.test", host, port), "--mail-from", "app@cloud.test",
		"--mail-rcpt", "ops@private.test", "--upload-file", letter)
}

func useSMB(t *testing.T, p *place, host string, port int) {
	letter := p.file("upload", "kept on the share\n")
	back := filepath.Join(p.dir, "download")
	p.run("smbclient", "-N", "-p", fmt.Sprint(port), "//"+host+"/share", "-c", fmt.Sprintf("put %s note.txt; get note.txt %s; ls", letter, back))
	expect(t, "SMB", "kept on the share", p.run("cat", back))
}

func useNFS(t *testing.T, p *place, host string, port int) {
	url := fmt.Sprintf("nfs://%s/exported/report.txt?version=4&nfsport=%d", host, port)
	expect(t, "NFS", "figures of the quarter", p.run("nfs-cat", url))
}

func usePostgreSQL(t *testing.T, p *place, host string, port int) {
	expect(t, "PostgreSQL", "499999500000", p.run("psql", "-X", "-At", "-h", host, "-p", fmt.Sprint(port), "-U", "app", "-d", "postgres",
		"-c", "select sum(n) from generate_series(1, 999999) n"))
}

func useDNS(t *testing.T, p *place, host string, port int) {
	for _, over := range []string{"+notcp", "+tcp"} {
		answer := p.run("dig", "+short", "+tries=3", "+time=3", over, "@"+host, "-p", fmt.Sprint(port), "db.corp.test")
		expect(t, "DNS "+over, "10.9.8.7", answer)
	}
}

func useIperf(t *testing.T, p *place, host string, port int) {
	tcp := p.run("iperf3", "-c", host, "-p", fmt.Sprint(port), "-n", "64M")
	udp := p.run("iperf3", "-c", host, "-p", fmt.Sprint(port), "-u", "-b", "20M", "-l", "1200", "-t", "1")
	t.Logf("iperf3:\n%s\n%s", tcp, udp)
	expect(t, "iperf3", "receiver", tcp)
	expect(t, "iperf3 over UDP", "receiver", udp)
}

// delivered waits for the letter that useSMTP sent.
func delivered(t *testing.T, p *place) {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if out, err := exec.Command("grep", "-rl", "through the gateway", filepath.Join(p.dir, "mail")).CombinedOutput(); err != nil {
			return fmt.Errorf("no letter has arrived: %s", out)
		}
		return nil
	})
}
