package acme_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/pki/acme"
	"github.com/postern-dev/postern/server/store"
)

// managed runs a Manager in a bubble whose clock jumps, until the test ends.
func managed(t *testing.T, jobs *table, authorities ...*authority) *acme.Manager {
	t.Helper()
	config := acme.Config{
		Jobs: jobs, Names: func(job store.CertificateJob) []postern.Hostname { return []postern.Hostname{job.Name} },
		Proofs: func(context.Context, store.CertificateJob) ([]acme.Proof, error) {
			return []acme.Proof{{Kind: acme.HTTP01}, {Kind: acme.TLSALPN01}}, nil
		},
		Process: "this", Every: time.Minute, Logger: testkit.Logger(t),
	}
	for _, one := range authorities {
		config.Authorities = append(config.Authorities, one)
	}
	manager := acme.NewManager(config)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = manager.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return manager
}

// good fails the test when the certificate in force has ended.
func good(t *testing.T, jobs *table, id string) {
	t.Helper()
	leaf, _ := jobs.Leaf(t.Context(), store.CertificateJob{Meta: store.Meta{ID: id}})
	if leaf == nil || time.Now().After(leaf.NotAfter) {
		t.Fatalf("at %v the certificate in force is %v", time.Now(), leaf)
	}
}

const day = 24 * time.Hour

// Over a year certificates of 90 and of 6 days are renewed at about two thirds of their
// lives, and never end.
func TestRenewalAtTwoThirds(t *testing.T) {
	for _, life := range []time.Duration{90 * day, 6 * day} {
		synctest.Test(t, func(t *testing.T) {
			jobs, ca := newTable(wanted("www.example.org")), newAuthority(t, "https://a", life)
			managed(t, jobs, ca)
			for range 365 {
				time.Sleep(day)
				good(t, jobs, "cj_www.example.org")
			}
			times := ca.times()
			for i := 1; i < len(times); i++ {
				if passed := times[i].Sub(times[i-1]); passed < life*2/3-life/24-time.Hour || passed > life*2/3+time.Hour {
					t.Errorf("one of %v was renewed after %v", life, passed)
				}
			}
			if want := int(365 * day / life); len(times) < want {
				t.Errorf("%d certificates of %v in a year", len(times), life)
			}
		})
	}
}

// Certificates that were made together are renewed apart.
func TestRenewalsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := newTable()
		for n := range 40 {
			job := wanted(fmt.Sprintf("n%d.example.org", n))
			jobs.jobs[job.ID] = job
		}
		ca := newAuthority(t, "https://a", 90*day)
		managed(t, jobs, ca)
		time.Sleep(time.Hour)
		hours := make(map[time.Time]int)
		for n := range 40 {
			hours[jobs.job(fmt.Sprintf("cj_n%d.example.org", n)).RenewsAt.Truncate(time.Hour)]++
		}
		for hour, n := range hours {
			if n > 8 {
				t.Errorf("%d of 40 are renewed in the hour of %v", n, hour)
			}
		}
		if len(hours) < 15 {
			t.Errorf("all are renewed in %d hours", len(hours))
		}
	})
}

// A window of the authority's counts more than two thirds, moves as it moves, and one that
// is in the past means now.
func TestRenewalInTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, ca := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 90*day)
		began := time.Now()
		start := began.Add(20 * day)
		ca.set(func(a *authority) {
			a.window = func(*x509.Certificate) (acme.Window, error) {
				return acme.Window{Start: start, End: start.Add(2 * day), AskAfter: time.Now().Add(3 * time.Hour)}, nil
			}
		})
		managed(t, jobs, ca)
		time.Sleep(time.Hour)
		first := jobs.job("cj_www.example.org")
		if first.RenewsAt.Before(start) || first.RenewsAt.After(start.Add(2*day)) || time.Until(first.DueAt) > 3*time.Hour {
			t.Fatalf("it is renewed at %v, and looked at again at %v", first.RenewsAt, first.DueAt)
		}
		time.Sleep(5 * day)
		if again := jobs.job("cj_www.example.org").RenewsAt; !again.Equal(first.RenewsAt) {
			t.Errorf("the same window gave %v and then %v", first.RenewsAt, again)
		}
		ca.set(func(*authority) { start = began.Add(-day) }) // revoked: it should have been renewed yesterday
		time.Sleep(4 * time.Hour)
		if asked := len(ca.times()); asked != 2 {
			t.Errorf("%d certificates: it was not renewed at once", asked)
		}
		time.Sleep(day) // the authority goes on saying so: that must not be a loop
		if asked := len(ca.times()); asked > 7 {
			t.Errorf("%d certificates within a day", asked)
		}
		ca.set(func(a *authority) {
			a.window = func(*x509.Certificate) (acme.Window, error) { return acme.Window{}, fmt.Errorf("down") }
		})
		for range 200 {
			time.Sleep(day)
			good(t, jobs, "cj_www.example.org")
		}
	})
}

// While the authority is down for a day attempts grow rarer, what is in force stays, and
// afterwards it is renewed by itself.
func TestAuthorityDownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, ca := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 90*day)
		managed(t, jobs, ca)
		time.Sleep(time.Minute)
		down := jobs.job("cj_www.example.org").RenewsAt
		ca.set(func(a *authority) {
			a.fail = func(at time.Time) error {
				if at.Before(down.Add(day)) {
					return &acme.Failure{Code: postern.CodeAuthorityUnreachable, Message: "It is down.", Elsewhere: true}
				}
				return nil
			}
		})
		time.Sleep(time.Until(down.Add(10 * time.Minute)))
		during := jobs.job("cj_www.example.org")
		if during.ErrorCode != "INTERNAL_ERROR" || !strings.Contains(during.Message, "It is down. (ERR_NGROK_26030)") || during.RetriesAt.IsZero() || during.StartedAt.IsZero() {
			t.Errorf("meanwhile the job is %+v", during)
		}
		for range 5 {
			time.Sleep(day)
			good(t, jobs, "cj_www.example.org")
		}
		var pauses []time.Duration
		times := ca.times()
		for i := 2; i < len(times); i++ {
			pauses = append(pauses, times[i].Sub(times[i-1]).Round(5*time.Minute))
		}
		if text := fmt.Sprint(pauses); !strings.HasPrefix(text, "[0s 5m0s 15m0s 1h0m0s 6h0m0s ") {
			t.Errorf("the attempts are %s apart", text)
		}
		after := jobs.job("cj_www.example.org")
		if after.ErrorCode != "" || after.Message != "" || !after.StartedAt.IsZero() || after.Attempts != 0 || time.Until(after.NotAfter) < 80*day {
			t.Errorf("afterwards the job is %+v", after)
		}
	})
}

// An authority that is down until the certificate has ended is asked at least hourly in
// the end, and the certificate stays in force.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, ca := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 6*day)
		managed(t, jobs, ca)
		time.Sleep(time.Minute)
		ca.set(func(a *authority) {
			a.fail = func(time.Time) error { return &acme.Failure{Code: postern.CodeAuthorityUnreachable, Message: "Down."} }
		})
		before := jobs.job("cj_www.example.org").NotAfter
		time.Sleep(time.Until(before))
		last := ca.times()
		if left := before.Sub(last[len(last)-1]); left > time.Hour+time.Minute {
			t.Errorf("the last attempt was %v before the end", left)
		}
		time.Sleep(10 * day)
		if leaf, _ := jobs.Leaf(t.Context(), jobs.job("cj_www.example.org")); leaf == nil {
			t.Error("the certificate that has ended was taken away")
		}
		ca.set(func(a *authority) { a.fail = nil })
		time.Sleep(25 * time.Hour)
		good(t, jobs, "cj_www.example.org")
	})
}

// What an authority says about when to come back is obeyed; another one is asked meanwhile.
func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs, ca := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 90*day)
		until := time.Now().Add(31 * time.Hour)
		ca.set(func(a *authority) {
			a.fail = func(at time.Time) error {
				if at.Before(until) {
					return &acme.Failure{Code: postern.CodeAuthorityRate, Message: "Too many.", After: until, Elsewhere: true}
				}
				return nil
			}
		})
		managed(t, jobs, ca)
		time.Sleep(32 * time.Hour)
		good(t, jobs, "cj_www.example.org")
		if times := ca.times(); len(times) != 2 || times[1].Before(until) {
			t.Errorf("it was asked at %v, and wanted to hear nothing before %v", times, until)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		jobs, first, second := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 90*day), newAuthority(t, "https://b", 90*day)
		first.set(func(a *authority) {
			a.fail = func(time.Time) error {
				return &acme.Failure{Code: postern.CodeAuthorityRate, Message: "Too many.", Elsewhere: true}
			}
		})
		managed(t, jobs, first, second)
		time.Sleep(time.Minute)
		good(t, jobs, "cj_www.example.org")
		if job := jobs.job("cj_www.example.org"); job.Directory != "https://b" {
			t.Errorf("it is from %q", job.Directory)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		jobs, first, second := newTable(wanted("www.example.org")), newAuthority(t, "https://a", 90*day), newAuthority(t, "https://b", 90*day)
		first.set(func(a *authority) {
			a.fail = func(time.Time) error {
				return &acme.Failure{Code: postern.CodeCertificateLookup, Message: "Create a record.", Records: true}
			}
		})
		managed(t, jobs, first, second)
		time.Sleep(time.Second)
		if job := jobs.job("cj_www.example.org"); job.ErrorCode != "DNS_ERROR" || len(second.times()) != 0 {
			t.Errorf("records are wrong: the job is %+v, and the second authority was asked at %v", job, second.times())
		}
	})
}

// A job whose process has died goes on in another one when the lease has ended.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := wanted("www.example.org")
		job.LeasedBy, job.LeasedUntil = "dead", time.Now().Add(20*time.Minute)
		jobs, ca := newTable(job), newAuthority(t, "https://a", 90*day)
		managed(t, jobs, ca)
		time.Sleep(19 * time.Minute)
		if len(ca.times()) != 0 {
			t.Error("a leased job was done")
		}
		time.Sleep(5 * time.Minute)
		good(t, jobs, job.ID)
	})
}
