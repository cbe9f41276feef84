package api

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/service"
)

// A filter that keeps the store busy is given up, and the one who wrote it is told. Who
// has gone meanwhile is told nothing, and lists without a filter have no such bound.
func TestFiltersHaveATime(t *testing.T) {
	fields := filter.Fields{"id": {Store: "id"}, "uri": {}}
	var waits list[resource.IPPolicy] = func(ctx context.Context, _ service.Caller, _ service.Page) (service.List[resource.IPPolicy], error) {
		select {
		case <-ctx.Done():
			return service.List[resource.IPPolicy]{}, postern.Errorf(postern.CodeStoreUnavailable, "given up").Because(ctx.Err())
		case <-time.After(time.Minute):
			return service.List[resource.IPPolicy]{}, nil
		}
	}
	for text, want := range map[string]postern.Code{
		`obj.id == "x"`:  postern.CodeFilterInvalid,
		`obj.uri == "x"`: postern.CodeFilterInvalid,
		``:               "",
	} {
		synctest.Test(t, func(t *testing.T) {
			wanted, err := filter.Compile(text, fields, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			c := &call{Context: t.Context(), api: &API{config: Config{Scanned: 10}, turns: newTurns()}}
			begun := time.Now()
			if _, _, err = waits.filtered(c, service.Page{Limit: 1}, wanted); want == "" && err != nil || want != "" && !postern.HasCode(err, want) {
				t.Errorf("%q: %v", text, err)
			}
			if took := time.Since(begun); want != "" && took != filterTime {
				t.Errorf("%q took %v", text, took)
			}
			gone, leave := context.WithCancel(t.Context())
			leave()
			c.Context = gone
			if _, _, err = waits.filtered(c, service.Page{Limit: 1}, wanted); err == nil || postern.HasCode(err, postern.CodeFilterInvalid) {
				t.Errorf("%q, of somebody who has gone: %v", text, err)
			}
		})
	}
}

// One account's filters wait for each other, and nobody's wait for long. What waits for
// another's is as slow as that; it is not the filter that is at fault.
func TestFiltersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &turns{all: make(chan struct{}, 2)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		take := func(account postern.AccountID) func() {
			t.Helper()
			leave, err := all.wait(ctx, account)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		refused := func(account postern.AccountID) {
			t.Helper()
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := all.wait(short, account); !postern.HasCode(err, postern.CodeTooManyAtOnce) {
				t.Errorf("%s: %v", account, err)
			}
		}
		first := take("a")
		refused("a") // its own is taken
		second := take("b")
		refused("c") // all are taken
		refused("b")
		first()
		third := take("c")
		second()
		fourth := take("a")
		go third()
		take("b")() // as soon as third has left
		fourth()
		if all.accounts.Len() != 0 || len(all.all) != 0 {
			t.Errorf("%d accounts and %d turns are kept", all.accounts.Len(), len(all.all))
		}
	})
}

// When time runs out on the way, what was found is a page, and the next one goes on
// behind what was looked at.
func TestScansThatTakeLong(t *testing.T) {
	for text, found := range map[string]int{`obj.uri == "page 1"`: 1, `obj.uri == "nowhere"`: 0} {
		synctest.Test(t, func(t *testing.T) {
			wanted, err := filter.Compile(text, filter.Fields{"uri": {}, "id": {Store: "id"}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			var slow list[resource.IPPolicy] = func(context.Context, service.Caller, service.Page) (service.List[resource.IPPolicy], error) {
				time.Sleep(2 * time.Second)
				asked++
				item := resource.IPPolicy{Identity: resource.Identity{ID: fmt.Sprint("ipp_", asked), URI: fmt.Sprint("page ", asked)}}
				return service.List[resource.IPPolicy]{Items: []resource.IPPolicy{item}, More: true}, nil
			}
			c := &call{Context: t.Context(), api: &API{config: Config{Scanned: 1_000_000}, turns: newTurns()}}
			page, last, err := slow.filtered(c, service.Page{Limit: 10}, wanted)
			if asked != 3 || len(page.Items) != found {
				t.Errorf("%s: %d pages were asked for, %d items found", text, asked, len(page.Items))
			}
			if found > 0 && (err != nil || !page.More || last != "ipp_3") || found == 0 && !postern.HasCode(err, postern.CodeFilterInvalid) {
				t.Errorf("%s: more %v behind %q, %v", text, page.More, last, err)
			}
		})
	}
}
