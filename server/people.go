package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// Person is somebody of an account as an operator on the server's machine sees them.
type Person struct {
	ID          postern.UserID    `json:"id"`
	AccountID   postern.AccountID `json:"account_id"`
	Name        string            `json:"name"`
	Email       string            `json:"email"`
	Role        postern.Role      `json:"role"`
	Active      bool              `json:"active"`
	HasPassword bool              `json:"has_password"`
	CreatedAt   time.Time         `json:"created_at"`
}

// NewPerson is what a person is made from.
type NewPerson struct {
	Account postern.AccountID // empty: the one that bootstrap made
	Name    string
	Email   string
	Role    postern.Role // empty: developer
}

// PersonChange says what changes of a person; what is nil stays.
type PersonChange struct {
	ID     postern.UserID
	Name   *string
	Email  *string
	Role   *postern.Role
	Active *bool
}

// Invitation lets whoever has its token into an account, once.
type Invitation struct {
	ID        string            `json:"id"`
	AccountID postern.AccountID `json:"account_id"`
	Email     string            `json:"email"`
	Role      postern.Role      `json:"role"`
	ExpiresAt time.Time         `json:"expires_at"`
	Token     string            `json:"token"` // shown here, and nowhere else
}

// NewInvitation is what an invitation is made from.
type NewInvitation struct {
	Account postern.AccountID // empty: the one that bootstrap made
	Email   string
	Role    postern.Role  // empty: developer
	Valid   time.Duration // 0: service.DefaultInvitation
}

// peoplePage is how many people an errand returns at once.
const peoplePage = 500

// ListPeople returns the people of an account, or of all of them if account is empty.
// Like everything on people it asks the server that runs in c.DataDir, or does it itself
// when none does.
func ListPeople(ctx context.Context, c Config, logger *slog.Logger, account postern.AccountID) ([]Person, error) {
	accounts := []postern.AccountID{account}
	if account == "" {
		all, err := ListAccounts(ctx, c, logger)
		if err != nil {
			return nil, err
		}
		accounts = nil
		for _, a := range all {
			accounts = append(accounts, a.ID)
		}
	}
	people := []Person{}
	for _, id := range accounts {
		for before := ""; ; {
			page, err := listPeople().do(ctx, c, logger, peopleOf{id, before})
			if err != nil {
				return nil, err
			}
			people = append(people, page...)
			if len(page) < peoplePage {
				break
			}
			before = string(page[len(page)-1].ID)
		}
	}
	return people, nil
}

// CreatePerson makes a person without an invitation, and without a password.
func CreatePerson(ctx context.Context, c Config, logger *slog.Logger, n NewPerson) (Person, error) {
	return createPerson().do(ctx, c, logger, n)
}

// Invite makes an invitation and returns it with its token.
func Invite(ctx context.Context, c Config, logger *slog.Logger, n NewInvitation) (Invitation, error) {
	return invite().do(ctx, c, logger, n)
}

// ChangePerson changes a person.
func ChangePerson(ctx context.Context, c Config, logger *slog.Logger, change PersonChange) (Person, error) {
	return changePerson().do(ctx, c, logger, change)
}

// SetPassword gives a person a password.
func SetPassword(ctx context.Context, c Config, logger *slog.Logger, id postern.UserID, password postern.Secret) (Person, error) {
	return setPassword().do(ctx, c, logger, newPassword{id, password.Reveal()})
}

// RemovePerson removes a person, with all keys and credentials.
func RemovePerson(ctx context.Context, c Config, logger *slog.Logger, id postern.UserID) (Person, error) {
	return removePerson().do(ctx, c, logger, id)
}

// offerPeople has the running server do all that.
func offerPeople(mux *http.ServeMux, s *Server) {
	listPeople().offer(mux, s)
	createPerson().offer(mux, s)
	invite().offer(mux, s)
	changePerson().offer(mux, s)
	setPassword().offer(mux, s)
	removePerson().offer(mux, s)
}

type peopleOf struct {
	Account postern.AccountID
	Before  string
}

// newPassword crosses the socket of the data directory, which only its user may open.
type newPassword struct {
	ID       postern.UserID
	Password string
}

func listPeople() errand[peopleOf, []Person] {
	return errand[peopleOf, []Person]{path: "/people/list", run: func(ctx context.Context, p premises, of peopleOf) ([]Person, error) {
		list, err := p.service.People(ctx, operator(of.Account), service.Page{Before: of.Before, Limit: peoplePage})
		people := []Person{}
		for _, user := range list.Items {
			people = append(people, personOf(user))
		}
		return people, err
	}}
}

func createPerson() errand[NewPerson, Person] {
	return errand[NewPerson, Person]{path: "/people/create", run: func(ctx context.Context, p premises, n NewPerson) (Person, error) {
		account, err := p.account(ctx, n.Account)
		if err != nil {
			return Person{}, err
		}
		user, err := p.service.CreatePerson(ctx, operator(account), service.NewPerson{Name: n.Name, Email: n.Email, Role: n.Role})
		return personOf(user), err
	}}
}

func invite() errand[NewInvitation, Invitation] {
	return errand[NewInvitation, Invitation]{path: "/people/invite", run: func(ctx context.Context, p premises, n NewInvitation) (Invitation, error) {
		account, err := p.account(ctx, n.Account)
		if err != nil {
			return Invitation{}, err
		}
		made, token, err := p.service.Invite(ctx, operator(account), service.NewInvitation{Email: n.Email, Role: n.Role, Valid: n.Valid})
		return Invitation{ID: made.ID, AccountID: made.Account, Email: made.Email, Role: made.Role, ExpiresAt: made.ExpiresAt, Token: token.Reveal()}, err
	}}
}

func changePerson() errand[PersonChange, Person] {
	return errand[PersonChange, Person]{path: "/people/change", run: func(ctx context.Context, p premises, change PersonChange) (Person, error) {
		by, err := p.operatorOf(ctx, change.ID)
		if err != nil {
			return Person{}, err
		}
		user, err := p.service.UpdatePerson(ctx, by, change.ID, service.PersonUpdate{
			Name: change.Name, Email: change.Email, Role: change.Role, Active: change.Active})
		return personOf(user), err
	}}
}

func setPassword() errand[newPassword, Person] {
	return errand[newPassword, Person]{path: "/people/password", run: func(ctx context.Context, p premises, n newPassword) (Person, error) {
		by, err := p.operatorOf(ctx, n.ID)
		if err != nil {
			return Person{}, err
		}
		if err := p.service.SetPassword(ctx, by, n.ID, "", postern.Secret(n.Password)); err != nil {
			return Person{}, err
		}
		user, err := p.service.Person(ctx, by, n.ID)
		return personOf(user), err
	}}
}

func removePerson() errand[postern.UserID, Person] {
	return errand[postern.UserID, Person]{path: "/people/remove", run: func(ctx context.Context, p premises, id postern.UserID) (Person, error) {
		by, err := p.operatorOf(ctx, id)
		if err != nil {
			return Person{}, err
		}
		user, err := p.service.Person(ctx, by, id)
		if err != nil {
			return Person{}, err
		}
		return personOf(user), p.service.RemovePerson(ctx, by, id)
	}}
}

// account is the one with the id, or bootstrap's for "".
func (p premises) account(ctx context.Context, id postern.AccountID) (postern.AccountID, error) {
	if id != "" {
		found, err := p.service.Account(ctx, id)
		return found.ID, err
	}
	first, err := p.service.Owner(ctx, "")
	return first.Account, err
}

// operatorOf is the operator as a caller about a person.
func (p premises) operatorOf(ctx context.Context, id postern.UserID) (service.Caller, error) {
	if id == "" {
		return service.Caller{}, postern.Errorf(postern.CodeFieldInvalid, "the id of the user is empty")
	}
	user, err := p.service.Owner(ctx, id)
	return operator(user.Account), err
}

func personOf(u store.User) Person {
	return Person{ID: postern.UserID(u.ID), AccountID: u.Account, Name: u.Name, Email: u.Email, Role: u.Role,
		Active: u.Active, HasPassword: u.Password != "", CreatedAt: u.CreatedAt}
}
