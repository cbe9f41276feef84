package control_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/quota"
)

// limitedWorld is a world in which account and credential limits hold.
func limitedWorld(t *testing.T, account, credential postern.Limits) (*world, *quota.Meters) {
	meters := quota.New()
	meters.SetDefaults(quota.Defaults{Account: account, Credential: credential})
	return newWorld(t, func(c *control.Config) { c.Meters = meters }), meters
}

func TestSessionLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, meters := limitedWorld(t, postern.Limits{Sessions: 3}, postern.Limits{Sessions: 2})
		refuse := func(token postern.Secret) {
			t.Helper()
			if _, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: token}); !postern.HasCode(err, postern.CodeSessionLimit) {
				t.Errorf("%s: %v", token, err)
			}
		}
		first := w.connect(link.Hello{Token: "alpha"})
		w.connect(link.Hello{Token: "alpha"})
		refuse("alpha") // the credential
		last := w.connect(link.Hello{Token: "beta"})
		refuse("beta") // the account
		// Coming back takes no more room than before.
		w.connect(link.Hello{Token: "alpha", ClientID: first.ClientID, Cookie: first.Cookie})
		w.connect(link.Hello{Token: "gamma"})
		last.Release(nil)
		w.connect(link.Hello{Token: "beta"})
		if u := meters.Account("ac_one").Usage(); u.Sessions != 3 || u.Total.Refused != 1 {
			t.Errorf("usage %+v", u)
		}
		// Limits change while the server runs, for whoever comes next.
		five := int64(5)
		meters.Override("ac_one", postern.LimitOverrides{Sessions: &five})
		meters.Override("cr_alpha", postern.LimitOverrides{Sessions: &five})
		w.connect(link.Hello{Token: "alpha"})
		w.Close(postern.Errorf(postern.CodeLinkDraining, "the end"))
		for _, u := range meters.Usage() {
			if u.Sessions != 0 {
				t.Errorf("in the end %+v", u)
			}
		}
	})
}

func TestEndpointLimits(t *testing.T) {
	w, meters := limitedWorld(t, postern.Limits{Endpoints: 3}, postern.Limits{Endpoints: 2})
	alpha, beta := w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "beta"})
	alpha.bind(t, request(t, "https://"))
	last := alpha.bind(t, request(t, "https://"))
	alpha.refuse(t, request(t, "https://"), postern.CodeEndpointLimit)
	again := w.connect(link.Hello{Token: "alpha"})
	again.refuse(t, request(t, "https://"), postern.CodeEndpointLimit)
	beta.bind(t, request(t, "https://a.example.com"))
	beta.refuse(t, request(t, "https://b.example.com"), postern.CodeEndpointLimit)
	if err := alpha.Unbind(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	beta.bind(t, request(t, "https://b.example.com"))
	// What was not let through, for another reason, counts nowhere.
	gamma := w.connect(link.Hello{Token: "gamma"})
	gamma.refuse(t, request(t, "https://a.example.com"), postern.CodeNameReserved)
	if n := meters.Account("ac_two").Usage().Endpoints; n != 0 {
		t.Errorf("%d endpoints are counted", n)
	}
	alpha.Release(nil)
	beta.Release(nil)
	if u := meters.Account("ac_one").Usage(); u.Endpoints != 0 {
		t.Errorf("in the end %+v", u)
	}
}

// An agent that crashed, and comes back without its cookie, is not kept out by what is
// left of it.
func TestEndpointLimitEndsTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := limitedWorld(t, postern.Limits{Endpoints: 1}, postern.Limits{})
		dead := newAgent("198.51.100.8:1")
		gone := w.connectAs(dead, link.Hello{Token: "alpha"})
		gone.bind(t, request(t, "https://a.example.com"))
		dead.silent = true
		time.Sleep(time.Minute)
		c := w.connect(link.Hello{Token: "alpha"})
		c.bind(t, request(t, "https://b.example.com"))
		if gone.Cause() == nil {
			t.Error("the silent session lives on")
		}
	})
}
