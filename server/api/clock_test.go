package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/service"
)

// B5-16: a clock that is set ahead gives an account no more requests than a minute's, and
// one that is set back takes none away.
func TestRateLimitWhenTheClockIsSet(t *testing.T) {
	const day, perMinute = 24 * time.Hour, 6
	for _, jump := range []time.Duration{day, -day} {
		at := &clock{time.Now().Round(0)} // without the reading that would not follow
		w := newWorld(t, func(c *api.Config) { c.Now, c.RequestsPerMinute = at.read, perMinute })
		spend := func() (n int) {
			for w.send("GET", "/ip_policies", nil).StatusCode == 200 {
				n++
			}
			return n
		}
		spend()
		for range 2 {
			at.now = at.now.Add(jump)
			got := w.send("GET", "/ip_policies", nil)
			if retry, err := strconv.Atoi(got.Header.Get("Retry-After")); got.StatusCode == 429 && (err != nil || retry > 60/perMinute+1) {
				t.Errorf("%s: to be tried again after %q", jump, got.Header.Get("Retry-After"))
			}
			if n := spend(); n > perMinute {
				t.Errorf("%s: %d requests at once", jump, n)
			}
			at.now = at.now.Add(20 * time.Second)
			if n := spend(); n != 2 {
				t.Errorf("%s: %d requests 20 seconds later, want 2", jump, n)
			}
			jump = -jump
		}
	}
}

// B5-16: whatever was made while the clock was wrong, each resource is listed once and
// keeps its place.
func TestPagesWhenTheClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	at := &clock{time.Now().Round(0)}
	w := newWorldOf(t, func(c *service.Config) { c.Now = at.read }, func(c *api.Config) { c.Now = at.read })
	var made []string
	for i, jump := range []time.Duration{0, day, -day, -day, day, 2 * day} {
		at.now = at.now.Add(jump)
		id, _ := w.does(201, "POST", "/ip_policies", object{"description": fmt.Sprint(i)})["id"].(string)
		made = append(made, id)
	}
	var listed []string
	for next := "/ip_policies?limit=2"; next != ""; {
		page := w.does(200, "GET", next, nil)
		listed = append(listed, ids(page, "ip_policies")...)
		next, _ = page["next_page_uri"].(string)
	}
	sorted := slices.Sorted(slices.Values(listed))
	if slices.Sort(made); !slices.Equal(made, sorted) {
		t.Errorf("listed %v, made %v", sorted, made)
	}
	if slices.Reverse(sorted); !slices.Equal(listed, sorted) {
		t.Errorf("not in one order: %v", listed)
	}
}
