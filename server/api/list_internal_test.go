package api

import (
	"context"
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
			c := &call{Context: t.Context(), api: &API{config: Config{Scanned: 10}}}
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
			if _, _, err = waits.filtered(c, service.Page{Limit: 1}, wanted); !postern.HasCode(err, postern.CodeStoreUnavailable) {
				t.Errorf("%q, of somebody who has gone: %v", text, err)
			}
		})
	}
}
