package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func certificateJobs() kind[store.CertificateJob, *store.CertificateJob] {
	return kind[store.CertificateJob, *store.CertificateJob]{
		rows: store.Tx.CertificateJobs,
		fill: func(_ context.Context, _ store.Tx, j *store.CertificateJob, n int) error {
			j.Kind, j.Subject, j.Name, j.KeyType = store.JobDomain, fmt.Sprint("rd_", n), "*.example.org", "ecdsa"
			if n > 0 {
				j.Name = postern.Hostname(fmt.Sprintf("d%d.example.org", n))
			}
			j.DueAt, j.StartedAt = j.CreatedAt, j.CreatedAt
			if n%2 == 0 {
				j.Chain, j.PrivateKey, j.Directory = "-----BEGIN\n", []byte{0, byte(n), 255}, "https://ca.example/dir"
				j.NotBefore, j.NotAfter = j.CreatedAt, j.CreatedAt.AddDate(0, 3, 0)
				j.RenewsAt, j.CheckAt, j.UsedAt = j.CreatedAt.AddDate(0, 2, 0), j.CreatedAt.Add(time.Hour), j.CreatedAt
			}
			return nil
		},
		change: func(j *store.CertificateJob) {
			j.Attempts, j.ErrorCode, j.Message, j.RetriesAt = 3, "DNS_ERROR", "Create the record.", j.CreatedAt.Add(time.Hour)
			j.LeasedBy, j.LeasedUntil, j.Certificate = "process", j.CreatedAt.Add(time.Minute), "cert_1"
			j.NotBefore, j.NotAfter, j.Chain, j.PrivateKey = time.Time{}, time.Time{}, "", nil
		},
	}
}

func acmeAccounts() kind[store.ACMEAccount, *store.ACMEAccount] {
	return kind[store.ACMEAccount, *store.ACMEAccount]{
		rows: store.Tx.ACMEAccounts,
		fill: func(_ context.Context, _ store.Tx, a *store.ACMEAccount, n int) error {
			a.Directory, a.Email, a.EABKeyID = fmt.Sprintf("https://ca.example/%d", n), "", "kid-1"
			a.PrivateKey = []byte{0, byte(n), 255}
			return nil
		},
		change: func(a *store.ACMEAccount) {
			a.Location, a.PrivateKey = "https://ca.example/account/1", []byte{1}
		},
	}
}

func acmeChallenges() kind[store.ACMEChallenge, *store.ACMEChallenge] {
	return kind[store.ACMEChallenge, *store.ACMEChallenge]{
		rows: store.Tx.ACMEChallenges,
		fill: func(_ context.Context, _ store.Tx, c *store.ACMEChallenge, n int) error {
			c.Kind, c.Name, c.Token, c.Value = "http-01", "www.example.org", fmt.Sprint("token", n), "token.thumbprint"
			c.ExpiresAt = c.CreatedAt.Add(time.Hour)
			return nil
		},
	}
}
