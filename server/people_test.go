package server_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server"
)

// An operator manages people and accounts on the machine alike while the server runs and
// while it does not.
func TestPeopleWithoutTheNetwork(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(map[bool]string{false: "stopped", true: "running"}[running], func(t *testing.T) {
			c, logger := testConfig(t), testkit.Logger(t)
			if running {
				start(t, c, server.Options{})
			}
			if _, err := server.CreatePerson(t.Context(), c, logger, server.NewPerson{Name: "Ada"}); !postern.HasCode(err, postern.CodeNotFound) {
				t.Errorf("before bootstrap: %v", err)
			}
			first := bootstrap(t, c)
			ada := made(t)(server.CreatePerson(t.Context(), c, logger, server.NewPerson{Name: "Ada", Email: "Ada@example.com", Role: postern.Admin}))
			if ada.AccountID != first.AccountID || ada.Email != "ada@example.com" || ada.Role != postern.Admin || !ada.Active || ada.HasPassword {
				t.Errorf("made %+v", ada)
			}
			owner := postern.Owner
			if p := made(t)(server.ChangePerson(t.Context(), c, logger, server.PersonChange{ID: ada.ID, Role: &owner})); p.Role != postern.Owner {
				t.Errorf("changed %+v", p)
			}
			if p := made(t)(server.SetPassword(t.Context(), c, logger, ada.ID, "correct horse battery")); !p.HasPassword {
				t.Errorf("with a password %+v", p)
			}
			made(t)(server.RemovePerson(t.Context(), c, logger, first.UserID))
			if _, err := server.RemovePerson(t.Context(), c, logger, ada.ID); !postern.HasCode(err, postern.CodeLastOwner) {
				t.Errorf("the last owner: %v", err)
			}
			invitation, err := server.Invite(t.Context(), c, logger, server.NewInvitation{Account: first.AccountID, Email: "new@example.com", Valid: time.Hour})
			if err != nil || invitation.Token == "" || invitation.Role != postern.Developer {
				t.Errorf("%+v, %v", invitation, err)
			}
			other, err := server.CreateAccount(t.Context(), c, logger, server.NewAccount{Name: "Other", OwnerName: "Otto", Email: "otto@example.com"})
			if err != nil || other.Owner == nil || other.Owner.Role != postern.Owner || other.Owner.AccountID != other.ID {
				t.Fatalf("%+v, %v", other, err)
			}
			accounts, err := server.ListAccounts(t.Context(), c, logger)
			if err != nil || len(accounts) != 2 {
				t.Errorf("%+v, %v", accounts, err)
			}
			all, err := server.ListPeople(t.Context(), c, logger, "")
			if err != nil || len(all) != 2 {
				t.Errorf("all people %+v, %v", all, err)
			}
			others, err := server.ListPeople(t.Context(), c, logger, other.ID)
			if err != nil || len(others) != 1 || others[0].Name != "Otto" {
				t.Errorf("the other's people %+v, %v", others, err)
			}
			five := int64(5)
			if _, err := server.SetLimits(t.Context(), c, logger, server.SubjectLimits{ID: string(other.ID), Sessions: &five}); err != nil {
				t.Error(err)
			}
			if l, err := server.GetLimits(t.Context(), c, logger, string(other.ID)); err != nil || l.Sessions == nil || *l.Sessions != 5 || l.Endpoints != nil {
				t.Errorf("limits %+v, %v", l, err)
			}
			if _, err := server.GetLimits(t.Context(), c, logger, "app"); !postern.HasCode(err, postern.CodeNotFound) {
				t.Error(err)
			}
			if _, err := server.ReadUsage(t.Context(), c, logger); (err == nil) != running {
				t.Errorf("usage: %v", err)
			}
		})
	}
}

func made(t *testing.T) func(server.Person, error) server.Person {
	t.Helper()
	return func(p server.Person, err error) server.Person {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

// What somebody has made stops working while they are not active, and works again after.
func TestKeysOfTheInactive(t *testing.T) {
	c, logger := testConfig(t), testkit.Logger(t)
	n := start(t, c, server.Options{})
	n.Keys()
	ada := made(t)(server.CreatePerson(t.Context(), c, logger, server.NewPerson{Name: "Ada", Email: "ada@example.com"}))
	made(t)(server.SetPassword(t.Context(), c, logger, ada.ID, "correct horse battery"))
	agent := key(t)(server.CreateKey(t.Context(), c, logger, server.NewKey{Kind: server.AuthtokenKey, Owner: ada.ID}))
	program := key(t)(server.CreateKey(t.Context(), c, logger, server.NewKey{Kind: server.APIKey, Owner: ada.ID}))
	var held *native.Client
	for _, active := range []bool{true, false, true} {
		made(t)(server.ChangePerson(t.Context(), c, logger, server.PersonChange{ID: ada.ID, Active: &active}))
		if held != nil && !active {
			n.eventually("the agent that is connected is gone", func() error {
				if cause := held.Cause(); cause == nil || !postern.HasCode(cause, postern.CodeOwnerInactive) {
					return fmt.Errorf("%v", cause)
				}
				return nil
			})
		}
		client, _, err := n.tryAgent(link.Hello{Token: postern.Secret(agent.Token)})
		held = client
		if (err == nil) != active || !active && !postern.HasCode(err, postern.CodeOwnerInactive) {
			t.Errorf("active %v: the agent: %v", active, err)
		}
		_, err = n.Service().AuthenticateKey(t.Context(), postern.Secret(program.Token))
		if (err == nil) != active || !active && !postern.HasCode(err, postern.CodeOwnerInactive) {
			t.Errorf("active %v: the API key: %v", active, err)
		}
		_, err = n.Service().Login(t.Context(), "ada@example.com", "correct horse battery", netip.MustParseAddr("127.0.0.1"))
		if (err == nil) != active {
			t.Errorf("active %v: signing in: %v", active, err)
		}
	}
	made(t)(server.RemovePerson(t.Context(), c, logger, ada.ID))
	if _, _, err := n.tryAgent(link.Hello{Token: postern.Secret(agent.Token)}); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("removed: the agent: %v", err)
	}
	if _, err := n.Service().AuthenticateKey(t.Context(), postern.Secret(program.Token)); !postern.HasCode(err, postern.CodeKeyInvalid) {
		t.Errorf("removed: the API key: %v", err)
	}
}
