package service_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

const secret = postern.Secret("correct horse battery")

// cheapPasswords keeps tests from waiting for hashes.
func cheapPasswords(c *service.Config) {
	c.Passwords = password.New(password.Cost{KiB: 64, Passes: 1, Threads: 1})
}

// people is a world with an account that has an owner, an admin and a developer.
type people struct {
	*world
	operator, owner, admin, developer service.Caller
}

func newPeople(t *testing.T) *people {
	t.Helper()
	w := newWorld(t, cheapPasswords)
	p := &people{world: w}
	account, owner, err := w.CreateAccount(t.Context(), service.Caller{Role: postern.Owner, Source: service.SourceServer}, "Example",
		service.NewPerson{Name: "Olga", Email: "Olga@Example.com", Password: secret})
	if err != nil {
		t.Fatal(err)
	}
	p.operator = service.Caller{Account: account.ID, Role: postern.Owner, Source: service.SourceServer}
	p.owner = as(owner)
	p.admin = as(must[store.User](t)(w.CreatePerson(t.Context(), p.owner, service.NewPerson{Name: "Ada", Email: "ada@example.com", Role: postern.Admin})))
	p.developer = as(must[store.User](t)(w.CreatePerson(t.Context(), p.admin, service.NewPerson{Name: "Dev", Email: "dev@example.com"})))
	return p
}

func as(u store.User) service.Caller {
	return service.Caller{Account: u.Account, Principal: postern.UserID(u.ID), Role: u.Role, Source: service.SourceDashboard}
}

func to[T any](value T) *T { return &value }

func TestAccounts(t *testing.T) {
	p := newPeople(t)
	refused(t, second(p.CreateAccount(t.Context(), p.owner, "Other", service.NewPerson{Name: "x"})), postern.CodeNotPermitted)
	_, err := p.Accounts(t.Context(), p.owner, "", 10)
	refused(t, err, postern.CodeNotPermitted)
	refused(t, second(p.CreateAccount(t.Context(), p.operator, " ", service.NewPerson{Name: "x"})), postern.CodeFieldInvalid)
	refused(t, second(p.CreateAccount(t.Context(), p.operator, "Other", service.NewPerson{Name: "x", Email: "olga@example.com"})), postern.CodeEmailTaken)
	other, owner, err := p.CreateAccount(t.Context(), p.operator, "Other", service.NewPerson{Name: "Otto", Email: "otto@example.com"})
	if err != nil || owner.Role != postern.Owner || owner.Account != other.ID {
		t.Fatalf("%+v, %v", owner, err)
	}
	all := must[[]postern.Account](t)(p.Accounts(t.Context(), p.operator, "", 10))
	if len(all) != 2 {
		t.Errorf("accounts %+v", all)
	}
	// Accounts do not see one another's people.
	_, err = p.Person(t.Context(), as(owner), p.owner.Principal)
	refused(t, err, postern.CodeNotFound)
	_, err = p.UpdatePerson(t.Context(), as(owner), p.developer.Principal, service.PersonUpdate{Name: to("hacked")})
	refused(t, err, postern.CodeNotFound)
	refused(t, p.RemovePerson(t.Context(), as(owner), p.developer.Principal), postern.CodeNotFound)
	refused(t, p.SetPassword(t.Context(), as(owner), p.developer.Principal, "", secret), postern.CodeNotFound)
}

func second[A, B any](_ A, _ B, err error) error { return err }

func TestRolesOfPeople(t *testing.T) {
	p := newPeople(t)
	readOnly := as(must[store.User](t)(p.CreatePerson(t.Context(), p.admin, service.NewPerson{Name: "Rosa", Role: postern.ReadOnly})))
	for _, c := range []struct {
		what string
		by   service.Caller
		who  service.Caller
		do   service.PersonUpdate
		code postern.Code
	}{
		{"an admin makes a developer an admin", p.admin, p.developer, service.PersonUpdate{Role: to(postern.Admin)}, ""},
		{"and back", p.admin, p.developer, service.PersonUpdate{Role: to(postern.Developer)}, ""},
		{"an admin makes an owner", p.admin, p.developer, service.PersonUpdate{Role: to(postern.Owner)}, postern.CodeNotPermitted},
		{"an admin makes itself an owner", p.admin, p.admin, service.PersonUpdate{Role: to(postern.Owner)}, postern.CodeNotPermitted},
		{"an admin demotes an owner", p.admin, p.owner, service.PersonUpdate{Role: to(postern.Developer)}, postern.CodeNotPermitted},
		{"an admin changes an owner's address", p.admin, p.owner, service.PersonUpdate{Email: to("mine@example.com")}, postern.CodeNotPermitted},
		{"a developer promotes itself", p.developer, p.developer, service.PersonUpdate{Role: to(postern.Admin)}, postern.CodeNotPermitted},
		{"a developer changes another", p.developer, readOnly, service.PersonUpdate{Name: to("x")}, postern.CodeNotPermitted},
		{"a developer's own name", p.developer, p.developer, service.PersonUpdate{Name: to("Devin")}, ""},
		{"a reader's own address", readOnly, readOnly, service.PersonUpdate{Email: to(" Rosa@example.com")}, ""},
		{"a taken address", readOnly, readOnly, service.PersonUpdate{Email: to("ADA@example.com")}, postern.CodeEmailTaken},
		{"no address", readOnly, readOnly, service.PersonUpdate{Email: to("rosa at home")}, postern.CodeFieldInvalid},
		{"a role that there is not", p.owner, readOnly, service.PersonUpdate{Role: to(postern.Role("root"))}, postern.CodeNotPermitted},
		{"no name", p.owner, readOnly, service.PersonUpdate{Name: to("")}, postern.CodeFieldInvalid},
		{"the last owner", p.owner, p.owner, service.PersonUpdate{Role: to(postern.Admin)}, postern.CodeLastOwner},
		{"the last owner, by the operator", p.operator, p.owner, service.PersonUpdate{Active: to(false)}, postern.CodeLastOwner},
		{"another owner", p.owner, p.admin, service.PersonUpdate{Role: to(postern.Owner)}, ""},
		{"an owner of two", p.owner, p.owner, service.PersonUpdate{Role: to(postern.Admin)}, ""},
		{"nobody", service.Caller{}, p.owner, service.PersonUpdate{}, postern.CodeNotPermitted},
	} {
		_, err := p.UpdatePerson(t.Context(), c.by, c.who.Principal, c.do)
		if c.code == "" && err != nil || c.code != "" && !postern.HasCode(err, c.code) {
			t.Errorf("%s: %v, want %q", c.what, err, c.code)
		}
	}
	list := must[service.List[store.User]](t)(p.People(t.Context(), readOnly, service.Page{Limit: 3}))
	if len(list.Items) != 3 || !list.More {
		t.Errorf("people %+v", list)
	}
}

// Of two owners who demote each other at the same time one stays.
func TestLastOwnerUnderRace(t *testing.T) {
	p := newPeople(t)
	if _, err := p.UpdatePerson(t.Context(), p.owner, p.admin.Principal, service.PersonUpdate{Role: to(postern.Owner)}); err != nil {
		t.Fatal(err)
	}
	p.admin.Role = postern.Owner
	var both sync.WaitGroup
	var errs [2]error
	for i, c := range [][2]service.Caller{{p.owner, p.admin}, {p.admin, p.owner}} {
		both.Go(func() { errs[i] = p.RemovePerson(t.Context(), c[0], c[1].Principal) })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("%v and %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			refused(t, err, postern.CodeLastOwner)
		}
	}
}

func TestInvitations(t *testing.T) {
	p := newPeople(t)
	_, _, err := p.Invite(t.Context(), p.developer, service.NewInvitation{Email: "new@example.com"})
	refused(t, err, postern.CodeNotPermitted)
	_, _, err = p.Invite(t.Context(), p.admin, service.NewInvitation{Email: "new@example.com", Role: postern.Owner})
	refused(t, err, postern.CodeNotPermitted)
	_, _, err = p.Invite(t.Context(), p.admin, service.NewInvitation{Email: "dev@example.com"})
	refused(t, err, postern.CodeEmailTaken)
	_, _, err = p.Invite(t.Context(), p.admin, service.NewInvitation{Email: "new@example.com", Valid: 100 * 24 * time.Hour})
	refused(t, err, postern.CodeFieldInvalid)
	_, _, err = p.Invite(t.Context(), p.admin, service.NewInvitation{})
	refused(t, err, postern.CodeFieldInvalid)

	invite := func(valid time.Duration) (store.Invitation, postern.Secret) {
		t.Helper()
		invitation, token, err := p.Invite(t.Context(), p.admin, service.NewInvitation{Email: " New@example.com", Role: postern.Admin, Valid: valid})
		if err != nil {
			t.Fatal(err)
		}
		return invitation, token
	}
	accept := func(token postern.Secret) (store.User, error) {
		return p.AcceptInvitation(t.Context(), token, "Nina", secret)
	}
	first, token := invite(0)
	if list := must[service.List[store.Invitation]](t)(p.Invitations(t.Context(), p.admin, service.Page{Limit: 10})); len(list.Items) != 1 || list.Items[0].ID != first.ID {
		t.Errorf("invitations %+v", list)
	}
	for _, wrong := range []postern.Secret{"", "nonsense", token[:len(token)-1] + "0", postern.Secret(strings.Repeat("0", 27)) + token[27:]} {
		if wrong == token {
			continue
		}
		_, err := accept(wrong)
		refused(t, err, postern.CodeInvitationInvalid)
	}
	_, err = p.AcceptInvitation(t.Context(), token, "Nina", "short")
	refused(t, err, postern.CodeFieldInvalid)

	var both sync.WaitGroup // exactly one of those who accept at the same time
	var users [4]store.User
	var errs [4]error
	for i := range users {
		both.Go(func() { users[i], errs[i] = accept(token) })
	}
	both.Wait()
	made := 0
	for i, err := range errs {
		if err == nil {
			made++
			if u := users[i]; u.Role != postern.Admin || u.Email != "new@example.com" || u.Account != p.admin.Account || u.Name != "Nina" || !u.Active {
				t.Errorf("made %+v", u)
			}
			continue
		}
		refused(t, err, postern.CodeInvitationInvalid)
	}
	if made != 1 || p.count(t, event.InvitationAccepted) != 1 {
		t.Errorf("%d people were made", made)
	}
	if _, err := p.Login(t.Context(), "new@example.com", secret, netip.MustParseAddr("198.51.100.7")); err != nil {
		t.Errorf("who accepted cannot sign in: %v", err)
	}
	refused(t, p.Disinvite(t.Context(), p.admin, first.ID), postern.CodeNotFound)
	testEndedInvitations(t, p)
}

func testEndedInvitations(t *testing.T, p *people) {
	t.Helper()
	late, lateToken, err := p.Invite(t.Context(), p.admin, service.NewInvitation{Email: "late@example.com", Valid: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	gone, goneToken, err := p.Invite(t.Context(), p.owner, service.NewInvitation{Email: "gone@example.com", Role: postern.Owner})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, p.Disinvite(t.Context(), p.admin, gone.ID), postern.CodeNotPermitted)
	if err := p.Disinvite(t.Context(), p.owner, gone.ID); err != nil {
		t.Fatal(err)
	}
	p.clock.Advance(time.Hour)
	for what, token := range map[string]postern.Secret{"late": lateToken, "taken back": goneToken} {
		if _, err := p.AcceptInvitation(t.Context(), token, "x", secret); !postern.HasCode(err, postern.CodeInvitationInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list := must[service.List[store.Invitation]](t)(p.Invitations(t.Context(), p.admin, service.Page{Limit: 10})); len(list.Items) != 0 {
		t.Errorf("%s is still there: %+v", late.ID, list)
	}
}

// No event, and nothing in the database, gives a password or a token away.
func TestPeoplesSecretsAreNotKept(t *testing.T) {
	p := newPeople(t)
	_, token, err := p.Invite(t.Context(), p.owner, service.NewInvitation{Email: "new@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.outbox(t) {
		for _, hidden := range []string{secret.Reveal(), token.Reveal(), "argon2", "password"} {
			if strings.Contains(string(r.Object), hidden) {
				t.Errorf("%s shows %q: %s", r.Type, hidden, r.Object)
			}
		}
	}
	p.close()
	stored := p.stored(t)
	for _, hidden := range []string{secret.Reveal(), token.Reveal(), token.Reveal()[28:]} {
		if strings.Contains(stored, hidden) {
			t.Errorf("the database holds %q", hidden)
		}
	}
	if !strings.Contains(stored, "$argon2id$") {
		t.Error("the database holds no hash: the search above proves nothing")
	}
}

func TestLogin(t *testing.T) {
	p := newPeople(t)
	here := netip.MustParseAddr("198.51.100.7")
	by := must[service.Caller](t)(p.Login(t.Context(), " OLGA@example.com", secret, here))
	want := service.Caller{Account: p.owner.Account, Principal: p.owner.Principal, Role: postern.Owner, Source: service.SourceDashboard, Addr: here}
	if diff := cmp.Diff(want, by, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("the caller (-want +got):\n%s", diff)
	}
	for what, c := range map[string]struct {
		email string
		given postern.Secret
	}{
		"wrong": {"olga@example.com", "wrong horse battery"}, "nobody": {"nobody@example.com", secret}, "none set": {"ada@example.com", ""},
		"no address": {"olga", secret}, "too long": {"olga@example.com", postern.Secret(strings.Repeat("x", 10_000))},
	} {
		if _, err := p.Login(t.Context(), c.email, c.given, here); !postern.HasCode(err, postern.CodeLoginInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Five wrong ones, and even the right one is not heard, until some time has passed.
	elsewhere := netip.MustParseAddr("203.0.113.9")
	for range 5 {
		_, err := p.Login(t.Context(), "olga@example.com", "wrong horse battery", elsewhere)
		refused(t, err, postern.CodeLoginInvalid)
	}
	_, err := p.Login(t.Context(), "olga@example.com", secret, elsewhere)
	refused(t, err, postern.CodeTooManyFailures)
	if _, err := p.Login(t.Context(), "olga@example.com", secret, here); err != nil {
		t.Errorf("from where it worked before: %v", err)
	}
	p.clock.Advance(3 * time.Minute)
	if _, err := p.Login(t.Context(), "olga@example.com", secret, elsewhere); err != nil {
		t.Errorf("later: %v", err)
	}
	p.store.down.Store(true)
	_, err = p.Login(t.Context(), "olga@example.com", secret, here)
	refused(t, err, postern.CodeStoreUnavailable)
}

// Whoever is not active, or was removed, cannot sign in.
func TestLoginOfTheInactive(t *testing.T) {
	p := newPeople(t)
	if err := p.SetPassword(t.Context(), p.admin, p.developer.Principal, "", secret); err != nil {
		t.Fatal(err)
	}
	login := func(n byte) error {
		_, err := p.Login(t.Context(), "dev@example.com", secret, netip.AddrFrom4([4]byte{198, 51, 100, n}))
		return err
	}
	for i, active := range []bool{true, false, true} {
		must[store.User](t)(p.UpdatePerson(t.Context(), p.admin, p.developer.Principal, service.PersonUpdate{Active: &active}))
		if err := login(byte(i)); (err == nil) != active || err != nil && !postern.HasCode(err, postern.CodeLoginInvalid) {
			t.Errorf("active %v: %v", active, err)
		}
	}
	if err := p.RemovePerson(t.Context(), p.admin, p.developer.Principal); err != nil {
		t.Fatal(err)
	}
	refused(t, login(9), postern.CodeLoginInvalid)
	_, err := p.Person(t.Context(), p.admin, p.developer.Principal)
	refused(t, err, postern.CodeNotFound)
	refused(t, p.RemovePerson(t.Context(), p.admin, p.developer.Principal), postern.CodeNotFound)
	if _, err := p.CreatePerson(t.Context(), p.admin, service.NewPerson{Name: "Dev", Email: "dev@example.com"}); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
}

func TestSetPassword(t *testing.T) {
	p := newPeople(t)
	const other = postern.Secret("another horse battery")
	here := netip.MustParseAddr("198.51.100.7")
	refused(t, p.SetPassword(t.Context(), p.owner, p.owner.Principal, "", other), postern.CodeLoginInvalid)
	refused(t, p.SetPassword(t.Context(), p.admin, p.owner.Principal, secret, other), postern.CodeNotPermitted)
	refused(t, p.SetPassword(t.Context(), p.developer, p.admin.Principal, "", other), postern.CodeNotPermitted)
	refused(t, p.SetPassword(t.Context(), p.owner, p.owner.Principal, secret, "short"), postern.CodeFieldInvalid)
	if err := p.SetPassword(t.Context(), p.owner, p.owner.Principal, secret, other); err != nil {
		t.Fatal(err)
	}
	_, err := p.Login(t.Context(), "olga@example.com", secret, here)
	refused(t, err, postern.CodeLoginInvalid)
	if _, err := p.Login(t.Context(), "olga@example.com", other, here); err != nil {
		t.Error(err)
	}
	if err := p.SetPassword(t.Context(), p.operator, p.owner.Principal, "", secret); err != nil {
		t.Errorf("the operator: %v", err)
	}
	if _, err := p.Login(t.Context(), "olga@example.com", secret, here); err != nil {
		t.Error(err)
	}
}

// A hash that was made at another cost is replaced when its password comes by.
func TestHashesAreMadeAnew(t *testing.T) {
	p := newPeople(t)
	before := must[store.User](t)(p.Person(t.Context(), p.owner, p.owner.Principal))
	w := p.restart(t, func(c *service.Config) { c.Passwords = password.New(password.Cost{KiB: 128, Passes: 1, Threads: 1}) })
	for range 2 {
		must[service.Caller](t)(w.Login(t.Context(), "olga@example.com", secret, netip.Addr{}))
		after := must[store.User](t)(w.Person(t.Context(), p.owner, p.owner.Principal))
		if after.Password == before.Password || !strings.HasPrefix(after.Password.Reveal(), "$argon2id$v=19$m=128,t=1,p=1$") || !after.PasswordAt.Equal(before.PasswordAt) {
			t.Errorf("%s became %s", before.Password.Reveal(), after.Password.Reveal())
		}
	}
}

func TestPasskeys(t *testing.T) {
	p := newPeople(t)
	key := store.Passkey{CredentialID: []byte{1, 2, 3}, PublicKey: []byte{4}, SignCount: 7, Transports: []string{"usb"}}
	key.Description = "laptop"
	made := must[store.Passkey](t)(p.AddPasskey(t.Context(), p.developer, key))
	_, err := p.AddPasskey(t.Context(), p.owner, key)
	refused(t, err, postern.CodeConflict)
	_, err = p.AddPasskey(t.Context(), p.owner, store.Passkey{})
	refused(t, err, postern.CodeFieldInvalid)
	user, keys, err := p.Passkeys(t.Context(), "dev@example.com")
	if err != nil || user.ID != string(p.developer.Principal) || len(keys) != 1 || keys[0].ID != made.ID {
		t.Fatalf("%+v, %+v, %v", user, keys, err)
	}
	if _, none, err := p.Passkeys(t.Context(), "nobody@example.com"); err != nil || len(none) != 0 {
		t.Errorf("nobody has %+v, %v", none, err)
	}
	for _, c := range []struct {
		count uint32
		ok    bool
	}{{8, true}, {8, false}, {3, false}, {0, false}, {9, true}} {
		made.SignCount = c.count
		by, err := p.PasskeyUsed(t.Context(), made)
		if (err == nil) != c.ok || c.ok && by.Principal != p.developer.Principal || !c.ok && !postern.HasCode(err, postern.CodeLoginInvalid) {
			t.Errorf("count %d: %+v, %v", c.count, by, err)
		}
	}
	refused(t, p.RemovePasskey(t.Context(), as(store.User{Meta: store.Meta{ID: "usr_x", Account: p.owner.Account}, Role: postern.Developer}), made.ID), postern.CodeNotPermitted)
	must[store.User](t)(p.UpdatePerson(t.Context(), p.admin, p.developer.Principal, service.PersonUpdate{Active: to(false)}))
	if _, none, err := p.Passkeys(t.Context(), "dev@example.com"); err != nil || len(none) != 0 {
		t.Errorf("the inactive has %+v, %v", none, err)
	}
	made.SignCount = 20
	_, err = p.PasskeyUsed(t.Context(), made)
	refused(t, err, postern.CodeLoginInvalid)
	if err := p.RemovePasskey(t.Context(), p.admin, made.ID); err != nil {
		t.Error(err)
	}
}
