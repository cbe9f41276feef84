package chisel_test

import (
	"strings"
	"testing"

	"github.com/jpillora/chisel/share/settings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/chisel"
)

// The forms that the documentation of outsystemscc and chisel has. S4-25, S4-29, S4-35
func TestParseRemote(t *testing.T) {
	for text, want := range map[string]chisel.Remote{
		"R:8081:192.168.0.3:8393": {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "192.168.0.3", RemotePort: "8393", Reverse: true},
		"R:8082:smtp.corp.example:587": {LocalHost: "0.0.0.0", LocalPort: "8082", RemoteHost: "smtp.corp.example", RemotePort: "587",
			Reverse: true},
		"R:8083:10.0.0.1:53/udp":     {LocalHost: "0.0.0.0", LocalPort: "8083", LocalProto: "udp", RemoteHost: "10.0.0.1", RemotePort: "53", Reverse: true},
		"R:8083:10.0.0.1:53/UDP":     {LocalHost: "0.0.0.0", LocalPort: "8083", LocalProto: "udp", RemoteHost: "10.0.0.1", RemotePort: "53", Reverse: true},
		"R:8083/udp:10.0.0.1:53/udp": {LocalHost: "0.0.0.0", LocalPort: "8083", LocalProto: "udp", RemoteHost: "10.0.0.1", RemotePort: "53", Reverse: true},
		"R:8081:db:1433/tcp":         {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "db", RemotePort: "1433", Reverse: true},
		"R:8081":                     {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "127.0.0.1", RemotePort: "8081", Reverse: true},
		"R:8081:9090":                {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "127.0.0.1", RemotePort: "9090", Reverse: true},
		"R:db:5432":                  {LocalHost: "0.0.0.0", LocalPort: "5432", RemoteHost: "db", RemotePort: "5432", Reverse: true},
		"R:127.0.0.1:8081:9000":      {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "127.0.0.1", RemotePort: "9000", Reverse: true},
		"R:127.0.0.1:8081:db:9000":   {LocalHost: "127.0.0.1", LocalPort: "8081", RemoteHost: "db", RemotePort: "9000", Reverse: true},
		"R:8081:[fd00::3]:8393":      {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "[fd00::3]", RemotePort: "8393", Reverse: true},
		"R:[::1]:8081:[fd00::3]:53/udp": {LocalHost: "[::1]", LocalPort: "8081", LocalProto: "udp", RemoteHost: "[fd00::3]", RemotePort: "53",
			Reverse: true},
		"R:08081:db:080":          {LocalHost: "0.0.0.0", LocalPort: "8081", RemoteHost: "db", RemotePort: "80", Reverse: true},
		"R:socks":                 {LocalHost: "127.0.0.1", LocalPort: "1080", Socks: true, Reverse: true},
		"R:5000:socks":            {LocalHost: "127.0.0.1", LocalPort: "5000", Socks: true, Reverse: true},
		"10.0.0.1:5000:socks":     {LocalHost: "10.0.0.1", LocalPort: "5000", Socks: true},
		"3000":                    {LocalHost: "0.0.0.0", LocalPort: "3000", RemoteHost: "127.0.0.1", RemotePort: "3000"},
		"192.168.0.5:3000:g.x:80": {LocalHost: "192.168.0.5", LocalPort: "3000", RemoteHost: "g.x", RemotePort: "80"},
		"stdio:example.com:22":    {RemoteHost: "example.com", RemotePort: "22", Stdio: true},
		"1.1.1.1:53/udp":          {LocalHost: "0.0.0.0", LocalPort: "53", LocalProto: "udp", RemoteHost: "1.1.1.1", RemotePort: "53"},
	} {
		if want.LocalProto == "" {
			want.LocalProto = "tcp"
		}
		want.RemoteProto = want.LocalProto
		got, err := chisel.ParseRemote(text)
		if err != nil || got != want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", text, got, err, want)
			continue
		}
		if again, err := chisel.ParseRemote(got.String()); err != nil || again != got {
			t.Errorf("%s: its canonical form %s is %+v, %v", text, got, again, err)
		}
		offered := got.Reverse && !got.Socks && !got.Stdio
		if err := got.Offered(); (err == nil) != offered || err != nil && !postern.HasCode(err, postern.CodeRemoteInvalid) {
			t.Errorf("%s: offered = %v", text, err)
		}
	}
}

// wrongRemotes are remotes that nobody can mean, with the words of chisel, and behind
// them ours where it has none or its own do not tell.
func wrongRemotes() map[string]string {
	long := strings.Repeat("9", 400)
	return map[string]string{
		"":                               "Invalid remote (it is empty)",
		" ":                              "Missing ports (it is blank)",
		"R:":                             "Invalid remote (it is empty)",
		"R: ":                            "Missing ports (it is blank)",
		"R::":                            "Invalid remote (nothing stands",
		"R:8081:":                        "Invalid remote (nothing stands",
		"R::8081:db:80":                  "Invalid remote (nothing stands",
		"R:8081::80":                     "Invalid remote (nothing stands",
		"R:8081:db:80:":                  "Invalid remote (nothing stands",
		"R:db":                           "Missing ports",
		"R:8081:db":                      "Missing ports",
		"R:db.corp.example":              "Missing ports",
		"R:127.0.0.1:8081:db":            "Missing ports",
		"R:8081:[fd00::3]":               "Missing ports",
		"R:[::1]":                        "Missing ports",
		"R:8081:db:http":                 "Missing ports",
		"R:1:2:3:4:5":                    "Invalid remote (it has more than four parts",
		"R:8081:fd00:0:0:0:0:0:0:3:80":   "Invalid remote (it has more than four parts",
		"R:8081:fd00::3:80":              "Invalid remote (nothing stands",
		"R:8081:[fd00::3:80":             "Invalid remote (the bracket is not closed)",
		"R:8081:fd00]:80":                "Invalid host",
		"R:8081:[db]:80":                 "Invalid host",
		"R:8081:[10.0.0.1]:80":           "Invalid host",
		"R:8081:[]:80":                   "Invalid host",
		"R:8081:d b:80":                  "Invalid host",
		"R:8081: db:80":                  "Invalid host",
		"R:8081:db%zz:80":                "Invalid host",
		"R:8081:http://db:80":            "Invalid host",
		"R:8081:db/path:80":              "Invalid host",
		"R:8081:ada@db:80":               "Invalid host",
		"R:8081:-db:80":                  "Invalid host",
		"R:8081:d\x00b:80":               "Invalid host",
		"R:8081:db:80\n":                 "Missing ports",
		"R:8081:db:53/sctp":              "Missing ports",
		"R:8081:db:+80":                  "Missing ports",
		"R:0:db:80":                      "Invalid remote (the port 0 is not between 1 and 65535)",
		"R:8081:db:65536":                "Missing ports (the port 65536 is not between 1 and 65535)",
		"R:99999:db:80":                  "Invalid remote (the port 99999 is not between 1 and 65535)",
		"R:" + long + ":db:80":           "Invalid remote (the port 999",
		"R:8081:db1:db2:80":              "Invalid remote (the parts are not",
		"R:8081:8082:db:80":              "Invalid remote (the parts are not",
		"R:1:2:3:4":                      "Invalid remote (the parts are not",
		"R:a:b:c:80":                     "Invalid remote (the parts are not",
		"R:8081/udp:db:53/tcp":           "cross-protocol remotes are not supported yet",
		"R:8081/udp:db:53":               "cross-protocol remotes are not supported yet",
		"R:8081:db/udp:53":               "cross-protocol remotes are not supported yet",
		"R:5000/udp:socks":               "only TCP SOCKS is supported",
		"socks/udp":                      "Missing ports",
		"R:stdio:db:80":                  "stdio cannot be reversed",
		"stdio":                          "Missing ports",
		"stdio:1:db:80":                  "Invalid remote (behind \"stdio\"",
		"R:db:socks:80":                  "Invalid remote (\"socks\" is not in its place)",
		"R:1:2:socks":                    "Invalid remote (before \"socks\"",
		"https://org.outsystems.app/sg_": "Missing ports",
	}
}

func TestWrongRemotes(t *testing.T) {
	cases := wrongRemotes()
	if len(cases) < 40 {
		t.Errorf("only %d remotes", len(cases))
	}
	for text, want := range cases {
		got, err := chisel.ParseRemote(text)
		if !postern.HasCode(err, postern.CodeRemoteInvalid) {
			t.Errorf("%q: %+v, %v", text, got, err)
			continue
		}
		said, found := strings.CutPrefix(postern.AsError(err).Text(), "Failed to decode remote '")
		if _, words, _ := strings.Cut(said, "': "); !found || !strings.HasPrefix(words, want) {
			t.Errorf("%q:\n got %s\nwant %s", text, postern.AsError(err).Text(), want)
		}
	}
}

// Where chisel itself refuses a remote, ours are its words.
func TestWordsAreChisels(t *testing.T) {
	itsOwn := 0
	for text := range wrongRemotes() {
		_, theirs := settings.DecodeRemote(text)
		if theirs == nil {
			continue
		}
		itsOwn++
		_, err := chisel.ParseRemote(text)
		if _, words, _ := strings.Cut(postern.AsError(err).Text(), "': "); !strings.HasPrefix(words, theirs.Error()) {
			t.Errorf("%q:\n    ours %s\nchisel's %s", text, words, theirs)
		}
	}
	if itsOwn < 15 {
		t.Errorf("chisel refuses only %d of them", itsOwn)
	}
}

// A remote that is read says the same when it is written and read again, to chisel too.
func FuzzParseRemote(f *testing.F) {
	for text := range wrongRemotes() {
		f.Add(text)
	}
	f.Add("R:127.0.0.1:8081:[fd00::3]:53/udp")
	f.Add("R:10.0.0.1:5000:socks")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := chisel.ParseRemote(text)
		if err != nil {
			if !postern.HasCode(err, postern.CodeRemoteInvalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again, err := chisel.ParseRemote(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and its canonical form %q is %+v, %v", text, r, r.String(), again, err)
		}
		theirs, err := settings.DecodeRemote(r.String())
		if err != nil {
			t.Fatalf("%q: chisel does not read %q: %v", text, r.String(), err)
		}
		if ours := chisel.Remote(*theirs); !r.Socks && !r.Stdio && ours != r {
			t.Errorf("%q: chisel reads %q as %+v, we as %+v", text, r.String(), ours, r)
		}
	})
}
