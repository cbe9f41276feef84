package service

import (
	"context"
	"encoding/json"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// limitsObject is what events and reports show of limits; null is the server's own.
type limitsObject struct {
	SubjectID         string            `json:"subject_id"`
	AccountID         postern.AccountID `json:"account_id"`
	Sessions          *int64            `json:"sessions"`
	Endpoints         *int64            `json:"endpoints"`
	Connections       *int64            `json:"connections"`
	RequestsPerMinute *int64            `json:"requests_per_minute"`
	BytesPerSecond    *int64            `json:"bytes_per_second"`
}

// ReadLimits reads the object of an event.LimitsUpdated.
func ReadLimits(object []byte) (subject string, o postern.LimitOverrides, err error) {
	var from limitsObject
	if err := json.Unmarshal(object, &from); err != nil {
		return "", o, postern.Errorf(postern.CodeInternal, "the limits cannot be read").Because(err)
	}
	return from.SubjectID, postern.LimitOverrides{
		Sessions: from.Sessions, Endpoints: from.Endpoints, Connections: from.Connections,
		RequestsPerMinute: from.RequestsPerMinute, BytesPerSecond: from.BytesPerSecond,
	}, nil
}

// SetLimits replaces the limits of an account or a credential of the caller's account, by
// its id. An account's are the server's operator to set, a credential's whoever
// administers the account, within the account's own. Errors: CodeNotFound,
// CodeFieldInvalid for one below zero, CodeNotPermitted.
func (s *Service) SetLimits(ctx context.Context, by Caller, subject string, o postern.LimitOverrides) error {
	if err := by.may(postern.Administer); err != nil {
		return err
	}
	if subject == string(by.Account) && by.Source != SourceServer {
		return postern.Errorf(postern.CodeNotPermitted, "an account's limits are set by the server's operator")
	}
	if err := checkLimits(o); err != nil {
		return err
	}
	return s.change(ctx, func(d *draft) error {
		if err := owns(d.ctx, d.Tx, by.Account, subject); err != nil {
			return err
		}
		if err := d.Limits().Put(d.ctx, store.LimitsRow{Subject: subject, Account: by.Account, Overrides: o}); err != nil {
			return err
		}
		return d.recordBy(by, event.LimitsUpdated, by.Account, subject, limitsObject{
			SubjectID: subject, AccountID: by.Account, Sessions: o.Sessions, Endpoints: o.Endpoints, Connections: o.Connections,
			RequestsPerMinute: o.RequestsPerMinute, BytesPerSecond: o.BytesPerSecond,
		})
	})
}

// Limits returns the limits that an account or a credential of the caller's account has
// of its own.
func (s *Service) Limits(ctx context.Context, by Caller, subject string) (postern.LimitOverrides, error) {
	var o postern.LimitOverrides
	if err := by.may(postern.Read); err != nil {
		return o, err
	}
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := owns(ctx, tx, by.Account, subject); err != nil {
			return err
		}
		var err error
		o, err = tx.Limits().Get(ctx, subject)
		return err
	})
	return o, err
}

// AllLimits returns the limits of everybody who has some of their own, by id.
func (s *Service) AllLimits(ctx context.Context) (map[string]postern.LimitOverrides, error) {
	const pageSize = 1000
	var all map[string]postern.LimitOverrides
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = make(map[string]postern.LimitOverrides)
		for after := ""; ; {
			rows, err := tx.Limits().List(ctx, after, pageSize)
			if err != nil {
				return err
			}
			for _, row := range rows {
				all[row.Subject] = row.Overrides
			}
			if len(rows) < pageSize {
				return nil
			}
			after = rows[len(rows)-1].Subject
		}
	})
	return all, err
}

// owns refuses what is neither the account itself nor a credential of it.
func owns(ctx context.Context, tx store.Tx, account postern.AccountID, subject string) error {
	if subject == string(account) {
		_, err := tx.Accounts().Get(ctx, account)
		return err
	}
	if isSSHCredential(postern.CredentialID(subject)) {
		_, err := tx.SSHCredentials().Get(ctx, account, subject)
		return err
	}
	credential, err := tx.Credentials().Get(ctx, account, subject)
	if err == nil && credential.Revoked() {
		err = postern.Errorf(postern.CodeNotFound, "there is no credential %q", subject)
	}
	return err
}

func checkLimits(o postern.LimitOverrides) error {
	for name, limit := range map[string]*int64{
		"sessions": o.Sessions, "endpoints": o.Endpoints, "connections": o.Connections,
		"requests_per_minute": o.RequestsPerMinute, "bytes_per_second": o.BytesPerSecond,
	} {
		if limit != nil && (*limit < 0 || *limit > mostLimit) {
			return postern.Errorf(postern.CodeFieldInvalid, "%s is %d, want 0 (no limit) to %d", name, *limit, int64(mostLimit))
		}
	}
	return nil
}

// mostLimit is more than any machine does.
const mostLimit = 1 << 50
