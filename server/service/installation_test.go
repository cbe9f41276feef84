package service_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// fleet is agents that share a credential, and what of theirs is online.
type fleet struct {
	*world
	credential postern.Credential
	endpoint   string
	names      map[postern.Hostname]bool
	ports      map[uint16]bool
}

func newFleet(t *testing.T) *fleet {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	return &fleet{world: w, credential: c, names: map[postern.Hostname]bool{}, ports: map[uint16]bool{}}
}

func (f *fleet) asker(machine string) service.Asker {
	return service.Asker{Credential: f.credential, Endpoint: f.endpoint, Installation: machine}
}

// name takes one name online for an agent on a machine.
func (f *fleet) name(t *testing.T, machine string) postern.Hostname {
	t.Helper()
	host := must[postern.Hostname](t)(f.AssignName(t.Context(), f.asker(machine), postern.HTTPS, domain, func(h postern.Hostname) bool { return f.names[h] }))
	f.KeepName(f.asker(machine), host)
	f.names[host] = true
	return host
}

func (f *fleet) port(t *testing.T, machine string) uint16 {
	t.Helper()
	port := must[uint16](t)(f.AssignPort(t.Context(), f.asker(machine), postern.TCP, 0, 20000, 20099, func(p uint16) bool { return f.ports[p] }))
	f.KeepPort(f.asker(machine), postern.TCP, port)
	f.ports[port] = true
	return port
}

// stop takes everything of everybody offline.
func (f *fleet) stop() {
	clear(f.names)
	clear(f.ports)
}

// address is one address of either kind, so that one test proves both.
func address(t *testing.T, kind string, f *fleet, machine string) string {
	t.Helper()
	if kind == "port" {
		return strconv.Itoa(int(f.port(t, machine)))
	}
	return string(f.name(t, machine))
}

func eachKind(t *testing.T, test func(t *testing.T, f *fleet, take func(machine string) string)) {
	for _, kind := range []string{"name", "port"} {
		t.Run(kind, func(t *testing.T) {
			f := newFleet(t)
			test(t, f, func(machine string) string { t.Helper(); return address(t, kind, f, machine) })
		})
	}
}

func same(t *testing.T, who, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", who, got, want)
	}
}

// D7: agents that share a credential do not swap names, whoever comes back first.
func TestInstallationsKeepTheirSlots(t *testing.T) {
	eachKind(t, func(t *testing.T, f *fleet, take func(string) string) {
		a, b, c := take("a"), take("b"), take("c")
		if a == b || b == c || a == c {
			t.Fatalf("given twice: %s, %s, %s", a, b, c)
		}
		for range 3 { // the first round by what waits to be written, the next from rows
			f.stop()
			same(t, "c", take("c"), c)
			same(t, "b", take("b"), b)
			same(t, "a", take("a"), a)
			if err := f.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.stop()
		f.world = f.restart(t)
		same(t, "b after the server's restart", take("b"), b)
		same(t, "a after the server's restart", take("a"), a)
	})
}

// S0-21: a restart keeps the URL, in a fresh container too, whose machine nobody knows.
func TestFreshContainerKeepsTheAddress(t *testing.T) {
	eachKind(t, func(t *testing.T, f *fleet, take func(string) string) {
		first, second := take("container-1"), take("container-1")
		other := take("other")
		for _, machine := range []string{"container-2", "container-3", ""} {
			clear(f.names)
			clear(f.ports)
			same(t, "the other", take("other"), other)
			same(t, machine+", its first endpoint", take(machine), first)
			same(t, machine+", its second endpoint", take(machine), second)
		}
	})
}

func TestFurtherAgentGetsTheNextSlot(t *testing.T) {
	eachKind(t, func(t *testing.T, f *fleet, take func(string) string) {
		a, b := take("a"), take("b")
		third := take("c")
		if third == a || third == b {
			t.Fatalf("%s is online already", third)
		}
		f.stop()
		same(t, "c, alone", take("c"), third)
		same(t, "a fresh one, when all but c are offline", take("d"), a)
		// d has a's address now: a gets what is left, and keeps that.
		same(t, "a", take("a"), b)
		f.stop()
		same(t, "a, alone", take("a"), b)
	})
}

// Another agent's address is tried before it turns out to be online. Trying must not
// make it the trier's.
func TestAssignedIsNotKept(t *testing.T) {
	f := newFleet(t)
	a := f.name(t, "a")
	tried := must[postern.Hostname](t)(f.AssignName(t.Context(), f.asker("b"), postern.HTTPS, domain, none[postern.Hostname]))
	same(t, "b's first try", string(tried), string(a))
	b := f.name(t, "b")
	f.stop()
	same(t, "b", string(f.name(t, "b")), string(b))
	same(t, "a", string(f.name(t, "a")), string(a))
}

// Installations are remembered while the store is down, and written afterwards.
func TestInstallationsWhileTheStoreIsDown(t *testing.T) {
	eachKind(t, func(t *testing.T, f *fleet, take func(string) string) {
		a, b := take("a"), take("b")
		if err := f.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		check := func() {
			t.Helper()
			f.stop()
			f.store.down.Store(true)
			same(t, "b", take("b"), b)
			same(t, "a", take("a"), a)
			f.store.down.Store(false)
		}
		check()
		f.world = f.restart(t)
		check()
		// A machine is replaced during the outage.
		f.stop()
		f.store.down.Store(true)
		same(t, "the replacement", take("new"), a)
		f.stop()
		same(t, "b", take("b"), b)
		f.store.down.Store(false)
		f.world = f.restart(t)
		f.stop()
		same(t, "the replacement after the outage", take("new"), a)
	})
}

// A herd of returning agents must not become a herd of writes.
func TestKeepingAgainDoesNotWrite(t *testing.T) {
	f := newFleet(t)
	f.name(t, "a")
	f.port(t, "a")
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.store.writes.Load()
	for range 50 {
		f.stop()
		f.name(t, "a")
		f.port(t, "a")
	}
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.store.writes.Load() - before; n != 0 {
		t.Errorf("%d writes", n)
	}
}

// Only a hash is stored, and one that does not tell that two credentials share a machine.
func TestInstallationIsStoredAsAHash(t *testing.T) {
	f := newFleet(t)
	first := f.name(t, "build-server-7")
	f.credential, _ = f.world.credential(t, f.credential)
	second := f.name(t, "build-server-7")
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows [2]store.Name
	err := f.store.Read(t.Context(), func(tx store.Tx) (err error) {
		if rows[0], err = tx.Names().Get(t.Context(), first); err == nil {
			rows[1], err = tx.Names().Get(t.Context(), second)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if len(row.Installation) != 24 || strings.Contains(row.Installation, "build") {
			t.Errorf("stored: %q", row.Installation)
		}
	}
	if rows[0].Installation == rows[1].Installation {
		t.Error("one machine has the same hash for two credentials")
	}
}
