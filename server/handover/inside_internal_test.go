package handover

import (
	"encoding/json"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
)

// A process of an older version, which knows no internal endpoints, must not take one for
// public: it finds nothing in the notice that it knows.
func TestOlderProcessesDoNotTakeInternalEndpoints(t *testing.T) {
	e := postern.Endpoint{ID: "ep_1", Account: "ac_1",
		URL: postern.URL{Scheme: postern.HTTPS, Host: "api.internal"}.Within("ac_1")}
	told := make(map[postern.EndpointID]postern.Endpoint)
	text, err := json.Marshal(difference(told, []cluster.Live{{Endpoint: e, Session: &borrowed{}}}))
	if err != nil {
		t.Fatal(err)
	}
	var older []struct {
		Add    *lent
		Remove postern.EndpointID
		Lost   *postern.URL
	}
	if err := json.Unmarshal(text, &older); err != nil || len(older) != 1 || older[0].Add != nil {
		t.Errorf("an older process reads %+v, %v", older, err)
	}
	notices, err := parseNotices(text)
	if err != nil || len(notices) != 1 || notices[0].Add == nil || notices[0].Add.Endpoint.URL != e.URL {
		t.Errorf("this one reads %+v, %v", notices, err)
	}
}
