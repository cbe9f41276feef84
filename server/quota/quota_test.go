package quota_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/quota"
)

const (
	account    = postern.AccountID("ac_1")
	credential = postern.CredentialID("cr_1")
)

// limited returns meters with the given limits, and the credential's meter.
func limited(a, c postern.Limits) (*quota.Meters, *quota.Meter) {
	meters := quota.New()
	meters.SetDefaults(quota.Defaults{Account: a, Credential: c})
	return meters, meters.Credential(account, credential)
}

func TestNilMetersCountNothing(t *testing.T) {
	var meters *quota.Meters
	m := meters.Credential(account, credential)
	if m != nil || meters.Account(account) != nil || m.Account() != nil || meters.Usage() != nil {
		t.Fatal("there is a meter")
	}
	m.Hold()
	m.AddSession()
	m.In(1)
	m.Out(1)
	var v quota.Visit
	if _, err := v.Enter(m, quota.Request); err != nil {
		t.Error(err)
	}
	v.Leave()
	if wait, piece := m.Debt(); wait != 0 || piece != 0 || m.AddEndpoint() != nil || m.SessionsOver(0) != nil || m.Limits() != (postern.Limits{}) {
		t.Error("nothing is limited")
	}
	m.RemoveEndpoint()
	m.RemoveSession()
	m.Release()
}

func TestSessions(t *testing.T) {
	meters, m := limited(postern.Limits{Sessions: 3}, postern.Limits{Sessions: 2})
	other := meters.Credential(account, "cr_2")
	over := func(m *quota.Meter, leaving int64, want bool) {
		t.Helper()
		err := m.SessionsOver(leaving)
		if (err != nil) != want || want && err.Code != postern.CodeSessionLimit {
			t.Errorf("over: %v, want %v", err, want)
		}
	}
	m.AddSession()
	over(m, 0, false)
	m.AddSession()
	over(m, 0, true)
	over(m, 1, false)
	over(other, 0, false)
	other.AddSession()
	over(other, 0, true) // the account
	m.RemoveSession()
	over(other, 0, false)
}

func TestEndpoints(t *testing.T) {
	meters, m := limited(postern.Limits{Endpoints: 3}, postern.Limits{Endpoints: 2})
	other := meters.Credential(account, "cr_2")
	for i, c := range []struct {
		m  *quota.Meter
		ok bool
	}{{m, true}, {m, true}, {m, false}, {other, true}, {other, false}} {
		if err := c.m.AddEndpoint(); (err == nil) != c.ok || !c.ok && err.Code != postern.CodeEndpointLimit {
			t.Errorf("endpoint %d: %v", i, err)
		}
	}
	if u := m.Account().Usage(); u.Endpoints != 3 || u.Total.Refused != 1 {
		t.Errorf("account: %+v", u)
	}
	if u := m.Usage(); u.Endpoints != 2 || u.Total.Refused != 1 {
		t.Errorf("credential: %+v", u)
	}
	m.RemoveEndpoint()
	if err := other.AddEndpoint(); err != nil {
		t.Error(err)
	}
}

func TestConnections(t *testing.T) {
	_, m := limited(postern.Limits{Connections: 2}, postern.Limits{})
	var visits [3]quota.Visit
	enter := func(v *quota.Visit) *postern.Error {
		if _, err := v.Enter(m.Account(), quota.Connection); err != nil {
			return err
		}
		_, err := v.Enter(m, quota.Connection)
		return err
	}
	for i := range visits {
		if err := enter(&visits[i]); (err != nil) != (i == 2) || err != nil && err.Code != postern.CodeConnectionLimit {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	_ = enter(&visits[0]) // a second time is none
	if u := m.Account().Usage(); u.Connections != 2 || u.Total.Connections != 2 || u.Total.Refused != 1 {
		t.Errorf("%+v", u)
	}
	visits[0].Leave()
	visits[0].Leave()
	if err := enter(&visits[2]); err != nil {
		t.Error(err)
	}
	visits[1].Undo()
	visits[2].Leave()
	for _, u := range []quota.Usage{m.Account().Usage(), m.Usage()} {
		if u.Connections != 0 || u.Total.Connections != 2 {
			t.Errorf("in the end %+v", u)
		}
	}
}

func TestRequestsPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := limited(postern.Limits{RequestsPerMinute: 6}, postern.Limits{})
		visit := func() (time.Duration, *postern.Error) {
			var v quota.Visit
			defer v.Leave()
			return v.Enter(m.Account(), quota.Request)
		}
		for i := range 6 {
			if _, err := visit(); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		retry, err := visit()
		if err == nil || err.Code != postern.CodeRequestLimit || retry != 10*time.Second {
			t.Fatalf("the seventh: %v, %v", retry, err)
		}
		time.Sleep(retry)
		if _, err := visit(); err != nil {
			t.Errorf("after %v: %v", retry, err)
		}
		if _, err := visit(); err == nil {
			t.Error("one more, at once, was let through")
		}
		var undone quota.Visit
		time.Sleep(10 * time.Second)
		if _, err := undone.Enter(m.Account(), quota.Request); err != nil {
			t.Error(err)
		}
		undone.Undo()
		if _, err := visit(); err != nil {
			t.Errorf("what did not take place counts: %v", err)
		}
		if u := m.Account().Usage(); u.Total.Requests != 8 || u.Total.Refused != 2 || u.Connections != 0 {
			t.Errorf("%+v", u)
		}
	})
}

// A visit that goes to another member's credential leaves the first one's meter as if it
// had never been there.
func TestVisitMoves(t *testing.T) {
	meters, m := limited(postern.Limits{}, postern.Limits{})
	other := meters.Credential(account, "cr_2")
	var v quota.Visit
	for _, m := range []*quota.Meter{m.Account(), m, other} {
		if _, err := v.Enter(m, quota.Request); err != nil {
			t.Fatal(err)
		}
	}
	v.Leave()
	if a, b, c := m.Account().Usage().Total.Requests, m.Usage().Total.Requests, other.Usage().Total.Requests; a != 1 || b != 0 || c != 1 {
		t.Errorf("account %d, first %d, second %d", a, b, c)
	}
}

func TestDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meters, m := limited(postern.Limits{BytesPerSecond: 16 << 10}, postern.Limits{BytesPerSecond: 64 << 10})
		if wait, piece := m.Debt(); wait != 0 || piece != 2<<10 {
			t.Errorf("at first: %v, %d", wait, piece)
		}
		m.In(16 << 10) // a second's worth may come at once
		if wait, _ := m.Debt(); wait != 0 {
			t.Errorf("after a second's worth: %v", wait)
		}
		m.Out(32 << 10)
		if wait, _ := m.Debt(); wait != 2*time.Second {
			t.Errorf("after three: %v", wait)
		}
		if takes := m.Takes(16 << 10); takes != 4*time.Second {
			t.Errorf("a second's worth more takes %v", takes)
		}
		time.Sleep(time.Second)
		if wait, _ := m.Debt(); wait != time.Second {
			t.Errorf("a second later: %v", wait)
		}
		limit := int64(0)
		meters.Override(string(account), postern.LimitOverrides{BytesPerSecond: &limit})
		if wait, piece := m.Debt(); wait != 0 || piece != 8<<10 {
			t.Errorf("without the account's limit: %v, %d", wait, piece)
		}
		if u := m.Usage(); u.Total.BytesIn != 16<<10 || u.Total.BytesOut != 32<<10 {
			t.Errorf("%+v", u.Total)
		}
	})
}

// However it is charged, what waits as long as it is told to keeps to the rate.
func TestDebtKeepsTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1<<10, 1<<20).Draw(t, "rate")
		pieces := rapid.SliceOfN(rapid.IntRange(1, 64<<10), 20, 60).Draw(t, "pieces")
		synctestRate(t, rate, pieces)
	})
}

func synctestRate(t *rapid.T, rate int64, pieces []int) {
	_, m := limited(postern.Limits{BytesPerSecond: rate}, postern.Limits{})
	// Time stands nearly still here: the debt itself must be what is beyond the rate.
	began, moved := time.Now(), 0
	for _, n := range pieces {
		m.In(n)
		moved += n
	}
	wait, _ := m.Debt()
	took := time.Since(began)
	want := float64(moved)/float64(rate) - 1
	if got := (wait + took).Seconds(); got < want-0.001 || got > max(0, want)+2*took.Seconds()+0.001 {
		t.Fatalf("%d bytes at %d a second: a debt of %v, want %.3f s", moved, rate, wait, want)
	}
}

func TestOverrides(t *testing.T) {
	five, none := int64(5), int64(0)
	meters, m := limited(postern.Limits{Sessions: 10, Connections: 7}, postern.Limits{Sessions: 3})
	meters.Override(string(account), postern.LimitOverrides{Sessions: &five})
	if l := m.Account().Limits(); l != (postern.Limits{Sessions: 5, Connections: 7}) {
		t.Errorf("account %+v", l)
	}
	meters.Override(string(credential), postern.LimitOverrides{Sessions: &none})
	if l := m.Limits(); l != (postern.Limits{}) {
		t.Errorf("credential %+v", l)
	}
	meters.SetDefaults(quota.Defaults{Account: postern.Limits{Sessions: 1, Endpoints: 1}, Credential: postern.Limits{Endpoints: 2}})
	if a, c := m.Account().Limits(), m.Limits(); a != (postern.Limits{Sessions: 5, Endpoints: 1}) || c != (postern.Limits{Endpoints: 2}) {
		t.Errorf("after other defaults %+v, %+v", a, c)
	}
	meters.OverrideAll(map[string]postern.LimitOverrides{"cr_later": {Sessions: &five}})
	if a := m.Account().Limits(); a != (postern.Limits{Sessions: 1, Endpoints: 1}) {
		t.Errorf("without overrides %+v", a)
	}
	if l := meters.Credential(account, "cr_later").Limits(); l.Sessions != 5 {
		t.Errorf("an override from before the meter: %+v", l)
	}
	meters.OverrideAll(nil)
	meters.Override("ac_other", postern.LimitOverrides{Sessions: &five})
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meters, m := limited(postern.Limits{}, postern.Limits{})
		go func() { _ = meters.Run(t.Context()) }()
		idle := meters.Credential("ac_idle", "cr_idle")
		for minute := range 90 {
			m.In(minute)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		u := m.Account().Usage()
		if len(u.Minutes) != 60 || u.Minutes[59].BytesIn != 89 || u.Minutes[0].BytesIn != 30 {
			t.Errorf("minutes %v", u.Minutes)
		}
		if len(u.Hours) != 1 || u.Hours[0].BytesIn != 61*60/2 { // of the minutes 1 to 60: hours begin with the first use
			t.Errorf("hours %v", u.Hours)
		}
		if u := idle.Usage(); len(u.Minutes) != 0 || len(u.Hours) != 0 {
			t.Errorf("idle %+v", u)
		}
		if all := meters.Usage(); len(all) != 4 || all[0].Account != account || all[0].Credential != "" || all[1].Credential != credential {
			t.Errorf("all %+v", all)
		}
		held := meters.Credential(account, "cr_held")
		held.Hold()
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if all := meters.Usage(); len(all) != 2 || all[1].Credential != "cr_held" {
			t.Errorf("a day later %+v", all)
		}
		held.Release()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if all := meters.Usage(); len(all) != 0 {
			t.Errorf("when nobody has anything: %+v", all)
		}
	})
}

// Many at once take no more than there is.
func TestRaces(t *testing.T) {
	meters, m := limited(postern.Limits{Connections: 10, RequestsPerMinute: 100, Endpoints: 5}, postern.Limits{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				var v quota.Visit
				_, _ = v.Enter(m.Account(), quota.Request)
				_, _ = v.Enter(m, quota.Request)
				if m.Account().Usage().Connections > 18 { // ten, and those who are being refused
					t.Error("more under way than may be")
				}
				v.Leave()
				if m.AddEndpoint() == nil {
					m.RemoveEndpoint()
				}
				m.Out(1)
				meters.Override(string(credential), postern.LimitOverrides{})
			}
		})
	}
	all.Wait()
	u := m.Account().Usage()
	if u.Connections != 0 || u.Endpoints != 0 || u.Total.BytesOut != 1600 || u.Total.Requests > 110 {
		t.Errorf("%+v", u)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	most := int64(math.MaxInt32)
	_, m := limited(postern.Limits{Connections: most, RequestsPerMinute: most, BytesPerSecond: most}, postern.Limits{Connections: most})
	if n := testing.AllocsPerRun(100, func() { exchange(m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// exchange is what one request costs.
func exchange(m *quota.Meter) {
	var v quota.Visit
	_, _ = v.Enter(m.Account(), quota.Request)
	_, _ = v.Enter(m, quota.Request)
	_, _ = m.Debt()
	m.In(200)
	m.Out(1200)
	v.Leave()
}

func BenchmarkExchange(b *testing.B) {
	most := int64(math.MaxInt32)
	for name, l := range map[string]postern.Limits{
		"unlimited": {}, "limited": {Connections: most, RequestsPerMinute: most, BytesPerSecond: most},
	} {
		b.Run(name, func(b *testing.B) {
			_, m := limited(l, l)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					exchange(m)
				}
			})
		})
	}
}
