package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/service"
)

// Live is what is online right now. No store has it: it begins and ends with agents'
// connections. Methods may be called concurrently.
type Live interface {
	// SessionsOf lists an account's sessions, in no order; those of agents that are
	// still with another process of this node too.
	SessionsOf(ctx context.Context, account postern.AccountID) []postern.Session

	// EndpointsOf lists what agents of an account have online, in no order.
	EndpointsOf(account postern.AccountID) []postern.Endpoint

	// Command has the agent of an account's session do something and waits for its
	// answer, for some seconds at most. Errors: CodeNotFound, and those with which
	// agents refuse and fail.
	Command(ctx context.Context, account postern.AccountID, id postern.SessionID, command link.Command) error
}

// nothing is the Live of an API without a server.
type nothing struct{}

func (nothing) SessionsOf(context.Context, postern.AccountID) []postern.Session { return nil }

func (nothing) EndpointsOf(postern.AccountID) []postern.Endpoint { return nil }

func (nothing) Command(context.Context, postern.AccountID, postern.SessionID, link.Command) error {
	return &postern.Error{Code: postern.CodeNotFound}
}

// newestOf makes a page of what is in memory.
func newestOf[E, T any](all []E, id func(E) string, p service.Page, show func(E) T) service.List[T] {
	if p.Before != "" {
		all = slices.DeleteFunc(all, func(e E) bool { return id(e) >= p.Before })
	}
	slices.SortFunc(all, func(a, b E) int { return cmp.Compare(id(b), id(a)) })
	list := service.List[T]{More: len(all) > p.Limit}
	for _, e := range all[:min(len(all), p.Limit)] {
		list.Items = append(list.Items, show(e))
	}
	return list
}

// find gives the one of a list that has an id; CodeNotFound.
func find[E any](all []E, id func(E) string, wanted string) (E, error) {
	if i := slices.IndexFunc(all, func(e E) bool { return id(e) == wanted }); i >= 0 {
		return all[i], nil
	}
	var none E
	return none, &postern.Error{Code: postern.CodeNotFound}
}
