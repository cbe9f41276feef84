package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/service"
)

// Account is one account as an operator on the server's machine sees it.
type Account struct {
	ID        postern.AccountID `json:"id"`
	Name      string            `json:"name"`
	CreatedAt time.Time         `json:"created_at"`
	Owner     *Person           `json:"owner,omitempty"` // who was made with it; where it was just made
}

// NewAccount is what an account is made from.
type NewAccount struct {
	Name      string
	OwnerName string
	Email     string // of the owner
}

// SubjectLimits are the limits that an account or a credential has of its own; nil is the
// server's, 0 no limit.
type SubjectLimits struct {
	ID                string `json:"id"`
	Sessions          *int64 `json:"sessions"`
	Endpoints         *int64 `json:"endpoints"`
	Connections       *int64 `json:"connections"`
	RequestsPerMinute *int64 `json:"requests_per_minute"`
	BytesPerSecond    *int64 `json:"bytes_per_second"`
}

const accountsPage = 1000

// ListAccounts returns all accounts, by id.
func ListAccounts(ctx context.Context, c Config, logger *slog.Logger) ([]Account, error) {
	accounts := []Account{}
	for after := postern.AccountID(""); ; {
		page, err := listAccounts().do(ctx, c, logger, after)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, page...)
		if len(page) < accountsPage {
			return accounts, nil
		}
		after = page[len(page)-1].ID
	}
}

// CreateAccount makes another account, with an owner.
func CreateAccount(ctx context.Context, c Config, logger *slog.Logger, n NewAccount) (Account, error) {
	return createAccount().do(ctx, c, logger, n)
}

// GetLimits returns the limits that an account or credential has of its own.
func GetLimits(ctx context.Context, c Config, logger *slog.Logger, id string) (SubjectLimits, error) {
	return getLimits().do(ctx, c, logger, id)
}

// SetLimits replaces them.
func SetLimits(ctx context.Context, c Config, logger *slog.Logger, l SubjectLimits) (SubjectLimits, error) {
	return setLimits().do(ctx, c, logger, l)
}

// ReadUsage returns what accounts and credentials use and have used. Only a server that
// runs knows.
func ReadUsage(ctx context.Context, c Config, logger *slog.Logger) ([]quota.Usage, error) {
	return readUsage().do(ctx, c, logger, struct{}{})
}

// offerAccounts has the running server do all that.
func offerAccounts(mux *http.ServeMux, s *Server) {
	listAccounts().offer(mux, s)
	createAccount().offer(mux, s)
	getLimits().offer(mux, s)
	setLimits().offer(mux, s)
	readUsage().offer(mux, s)
}

func listAccounts() errand[postern.AccountID, []Account] {
	return errand[postern.AccountID, []Account]{path: "/accounts/list", run: func(ctx context.Context, p premises, after postern.AccountID) ([]Account, error) {
		found, err := p.service.Accounts(ctx, operator(""), after, accountsPage)
		accounts := []Account{}
		for _, a := range found {
			accounts = append(accounts, Account{ID: a.ID, Name: a.Name, CreatedAt: a.CreatedAt})
		}
		return accounts, err
	}}
}

func createAccount() errand[NewAccount, Account] {
	return errand[NewAccount, Account]{path: "/accounts/create", run: func(ctx context.Context, p premises, n NewAccount) (Account, error) {
		made, owner, err := p.service.CreateAccount(ctx, operator(""), n.Name, service.NewPerson{Name: n.OwnerName, Email: n.Email})
		person := personOf(owner)
		return Account{ID: made.ID, Name: made.Name, CreatedAt: made.CreatedAt, Owner: &person}, err
	}}
}

func getLimits() errand[string, SubjectLimits] {
	return errand[string, SubjectLimits]{path: "/limits/get", run: func(ctx context.Context, p premises, id string) (SubjectLimits, error) {
		by, err := p.operatorAbout(ctx, id)
		if err != nil {
			return SubjectLimits{}, err
		}
		o, err := p.service.Limits(ctx, by, id)
		return SubjectLimits{ID: id, Sessions: o.Sessions, Endpoints: o.Endpoints, Connections: o.Connections,
			RequestsPerMinute: o.RequestsPerMinute, BytesPerSecond: o.BytesPerSecond}, err
	}}
}

func setLimits() errand[SubjectLimits, SubjectLimits] {
	return errand[SubjectLimits, SubjectLimits]{path: "/limits/set", run: func(ctx context.Context, p premises, l SubjectLimits) (SubjectLimits, error) {
		by, err := p.operatorAbout(ctx, l.ID)
		if err != nil {
			return l, err
		}
		return l, p.service.SetLimits(ctx, by, l.ID, postern.LimitOverrides{Sessions: l.Sessions, Endpoints: l.Endpoints,
			Connections: l.Connections, RequestsPerMinute: l.RequestsPerMinute, BytesPerSecond: l.BytesPerSecond})
	}}
}

func readUsage() errand[struct{}, []quota.Usage] {
	return errand[struct{}, []quota.Usage]{path: "/usage", run: func(_ context.Context, p premises, _ struct{}) ([]quota.Usage, error) {
		if p.meters == nil {
			return nil, postern.Errorf(postern.CodeNotReady, "no server runs here; usage is counted in memory while one does")
		}
		return p.meters.Usage(), nil
	}}
}

// operatorAbout is the operator as a caller about an account or a credential.
func (p premises) operatorAbout(ctx context.Context, id string) (service.Caller, error) {
	switch {
	case isCredential(id):
		c, err := p.service.Credential(ctx, postern.CredentialID(id))
		return operator(c.Account), err
	case strings.HasPrefix(id, "ac_"):
		a, err := p.service.Account(ctx, postern.AccountID(id))
		return operator(a.ID), err
	}
	return service.Caller{}, postern.Errorf(postern.CodeNotFound, "%q is no id of an account (ac_…) or a credential (cr_…)", clip(id))
}
