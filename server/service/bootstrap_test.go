package service_test

import (
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

func TestBootstrapHappensOnce(t *testing.T) {
	w := newWorld(t)
	results := make([]service.Bootstrap, 6)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { results[i] = must[service.Bootstrap](t)(w.Bootstrap(t.Context())) })
	}
	group.Wait()
	created := 0
	for _, r := range results {
		if r.AccountID != results[0].AccountID || r.UserID != results[0].UserID || r.AccountID == "" || r.UserID == "" {
			t.Errorf("got %+v beside %+v", r, results[0])
		}
		if r.Created != (r.APIKey != "") || r.Created != (r.Authtoken != "") {
			t.Errorf("secrets and Created disagree: %v %q %q", r.Created, r.APIKey, r.Authtoken)
		}
		if r.Created {
			created++
		}
	}
	if created != 1 {
		t.Errorf("created %d times", created)
	}
	later := must[service.Bootstrap](t)(w.restart(t).Bootstrap(t.Context()))
	if later.Created || later.AccountID != results[0].AccountID || later.APIKey+later.Authtoken != "" {
		t.Errorf("after a restart: %+v", later)
	}
}

// What is told once is nowhere on disk: neither in rows nor in events.
func TestSecretsAreNotKept(t *testing.T) {
	w := newWorld(t)
	made := must[service.Bootstrap](t)(w.Bootstrap(t.Context()))
	for _, id := range []string{string(made.AccountID), string(made.UserID)} {
		if len(strings.TrimLeft(id, "acusr_")) < 20 {
			t.Errorf("id %q", id)
		}
	}
	kinds := map[postern.EventType]int{}
	for _, r := range w.outbox(t) {
		kinds[r.Type]++
	}
	for _, kind := range []postern.EventType{event.AccountCreated, event.UserCreated, event.APIKeyCreated, event.CredentialCreated} {
		if kinds[kind] != 1 {
			t.Errorf("%d events %s, want 1", kinds[kind], kind)
		}
	}
	w.close()
	stored := w.stored(t)
	if !strings.Contains(stored, string(made.AccountID)) {
		t.Error("the account is not in what is stored: this test sees too little")
	}
	for _, token := range []postern.Secret{made.APIKey, made.Authtoken} {
		_, secret, _ := strings.Cut(token.Reveal(), "_")
		if strings.Contains(stored, secret) || strings.Contains(stored, hex.EncodeToString([]byte(secret))) {
			t.Error("the secret half of a token is stored")
		}
	}
}

func TestNewRefusesWeakConfigurations(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]service.Config{
		"short key":  {Store: w.store, Bus: w.bus, NameKey: make([]byte, 31), Domains: []postern.Hostname{domain}},
		"no domains": {Store: w.store, Bus: w.bus, NameKey: make([]byte, 32)},
	} {
		if _, err := service.New(t.Context(), c); !postern.HasCode(err, postern.CodeConfigInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w.store.down.Store(true)
	_, err := service.New(t.Context(), service.Config{Store: w.store, Bus: w.bus, NameKey: make([]byte, 32), Domains: []postern.Hostname{domain}})
	refused(t, err, postern.CodeStoreUnavailable)
}
