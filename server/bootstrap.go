package server

import (
	"context"
	"log/slog"

	"github.com/postern-dev/postern"
)

// Keys are what bootstrap prints: who owns the installation and, the first time
// only, the keys to it.
type Keys struct {
	AccountID postern.AccountID `json:"account_id"`
	UserID    postern.UserID    `json:"user_id"`
	APIKey    string            `json:"api_key,omitempty"`
	Authtoken string            `json:"authtoken,omitempty"`
	CAFile    string            `json:"ca_file,omitempty"`
	CAPin     string            `json:"ca_pin,omitempty"` // the fingerprint of its certificate, for "postern login --ca-pin"

	// ChallengeRecord is the DNS record that proves the server's own wildcard to an ACME
	// authority and that has to be made where the domain is; "" where there is no need.
	ChallengeRecord string `json:"challenge_record,omitempty"`
}

// Bootstrap makes the first account, user, API key and authtoken of the
// installation in c.DataDir, or says who exists. It asks the server that runs there
// over its socket, or does it itself when none does.
func Bootstrap(ctx context.Context, c Config, logger *slog.Logger) (Keys, error) {
	return bootstrapErrand().do(ctx, c, logger, struct{}{})
}

// Bootstrap does it for the running server.
func (s *Server) Bootstrap(ctx context.Context) (Keys, error) {
	return bootstrapErrand().run(ctx, s.premises(), struct{}{})
}

func bootstrapErrand() errand[struct{}, Keys] {
	return errand[struct{}, Keys]{path: "/bootstrap", run: func(ctx context.Context, p premises, _ struct{}) (Keys, error) {
		made, err := p.service.Bootstrap(ctx)
		if err != nil {
			return Keys{}, err
		}
		keys := Keys{AccountID: made.AccountID, UserID: made.UserID, APIKey: made.APIKey.Reveal(), Authtoken: made.Authtoken.Reveal()}
		if p.ca != nil && p.config.TLS.Mode == ModeLocalCA {
			keys.CAFile = p.ca.RootFile()
			keys.CAPin = fingerprint(p.ca.Newest())
		}
		if p.config.delegatesChallenges() {
			keys.ChallengeRecord = "_acme-challenge." + string(p.config.Domain) + ". CNAME " + string(p.service.ChallengeTarget()) + "."
		}
		return keys, nil
	}}
}
