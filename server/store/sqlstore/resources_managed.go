package sqlstore

import "github.com/postern-dev/postern/server/store"

// The tables of what the server gets certificates with.

func (t tx) CertificateJobs() store.Rows[store.CertificateJob] {
	return rowsOf(t, table[store.CertificateJob, *store.CertificateJob]{
		name: "certificate_jobs", what: "certificate job",
		columns: headColumns(
			column{"kind", text}, column{"subject_id", text}, column{"name", text}, column{"key_type", text},
			column{"certificate_id", text}, column{"chain", opaque}, column{"private_key", opaque},
			column{"directory", text}, column{"not_before", moment}, column{"not_after", moment},
			column{"renews_at", moment}, column{"check_at", moment},
			column{"due_at", moment}, column{"started_at", moment}, column{"attempts", number},
			column{"error_code", text}, column{"message", text}, column{"retries_at", moment},
			column{"leased_by", text}, column{"leased_until", moment}, column{"used_at", moment}),
		fields: func(j *store.CertificateJob) []any {
			return headFields(&j.Meta,
				&j.Kind, &j.Subject, &j.Name, &j.KeyType,
				&j.Certificate, &j.Chain, bytesOrNone{&j.PrivateKey},
				&j.Directory, maybe{&j.NotBefore}, maybe{&j.NotAfter},
				maybe{&j.RenewsAt}, maybe{&j.CheckAt},
				micros{&j.DueAt}, maybe{&j.StartedAt}, &j.Attempts,
				&j.ErrorCode, &j.Message, maybe{&j.RetriesAt},
				&j.LeasedBy, maybe{&j.LeasedUntil}, maybe{&j.UsedAt})
		},
	})
}

func (t tx) ACMEAccounts() store.Rows[store.ACMEAccount] {
	return rowsOf(t, table[store.ACMEAccount, *store.ACMEAccount]{
		name: "acme_accounts", what: "ACME account",
		columns: headColumns(column{"directory", text}, column{"email", text}, column{"eab_key_id", text}, column{"location", text}, column{"private_key", opaque}),
		fields: func(a *store.ACMEAccount) []any {
			return headFields(&a.Meta, &a.Directory, &a.Email, &a.EABKeyID, &a.Location, &a.PrivateKey)
		},
	})
}

func (t tx) ACMEChallenges() store.Rows[store.ACMEChallenge] {
	return rowsOf(t, table[store.ACMEChallenge, *store.ACMEChallenge]{
		name: "acme_challenges", what: "ACME challenge",
		columns: headColumns(column{"kind", text}, column{"name", text}, column{"token", text}, column{"value", text}, column{"expires_at", moment}),
		fields: func(c *store.ACMEChallenge) []any {
			return headFields(&c.Meta, &c.Kind, &c.Name, &c.Token, &c.Value, micros{&c.ExpiresAt})
		},
	})
}
