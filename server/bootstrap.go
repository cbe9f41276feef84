package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"os"

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
		if p.ca != nil {
			keys.CAFile = p.ca.RootFile()
			keys.CAPin = pinOf(keys.CAFile)
		}
		return keys, nil
	}}
}

// pinOf is the fingerprint of the certificate in a file that this server wrote; ""
// where there is none.
func pinOf(caFile string) string {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}
