package api_test

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/store"
)

// put stores IP policies without asking the API, each created a day after the one before.
func (w *world) put(descriptions ...string) []string {
	w.t.Helper()
	start := time.Date(2026, 1, 1, 12, 0, 0, 250_000_000, time.UTC)
	var made []string
	err := w.store.Write(w.t.Context(), func(tx store.Tx) error {
		made = nil
		for i, description := range descriptions {
			at := start.Add(time.Duration(i) * 24 * time.Hour)
			made = append(made, fmt.Sprintf("ipp_%027d", i))
			err := tx.IPPolicies().Create(w.t.Context(), store.IPPolicy{Meta: store.Meta{
				ID: made[i], Account: w.first.AccountID, Description: description, Metadata: fmt.Sprintf(`{"n":%d}`, i), CreatedAt: at, UpdatedAt: at,
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

func filtered(path, text string) string { return path + "?filter=" + url.QueryEscape(text) }

func TestListsAreFiltered(t *testing.T) {
	now := &clock{now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}
	w := newWorld(t, func(c *api.Config) { c.Now = now.read })
	made := w.put("blue", "Blue whale", "", "it's 100%_ \"red\"", "rote Grüße 😀")
	for text, want := range map[string][]int{
		``:                                                         {0, 1, 2, 3, 4},
		`obj.description == "blue"`:                                {0},
		`obj.description == "BLUE"`:                                {},
		`obj.description != "blue"`:                                {1, 2, 3, 4},
		`obj.description == ""`:                                    {2},
		`size(obj.description) == 13`:                              {},
		`size(obj.description) == 12`:                              {4},
		`obj.description.contains("%_ \"r")`:                       {3},
		`obj.description.startsWith("it's")`:                       {3},
		`obj.description.endsWith("whale")`:                        {1},
		`obj.description in ["blue", "", ""]`:                      {0, 2},
		`obj.metadata == "{\"n\":3}"`:                              {3},
		`obj.metadata.contains("n") && !(obj.description == "")`:   {0, 1, 3, 4},
		`obj.created_at < timestamp("2026-01-03T12:00:00Z")`:       {0, 1},
		`obj.created_at <= timestamp("2026-01-03T12:00:00Z")`:      {0, 1, 2},
		`obj.created_at == timestamp("2026-01-03T13:00:00+01:00")`: {2},
		`obj.created_at > timestamp(time.now).subtract("36h")`:     {3, 4}, // the 3rd, 12:00:00, which is what is shown of 12:00:00.25
		`obj.created_at > timestamp(time.now)`:                     {4},
		`obj.id == "` + made[1] + `"`:                              {1},
		`obj.id in ["` + made[1] + `", "` + made[3] + `", "x"]`:    {1, 3},
		`obj.id == "x' OR 1=1 --"`:                                 {},
		`obj.description == "'; DROP TABLE ip_policies; --"`:       {},
		`obj.description == "blue" || obj.description == "" && obj.created_at < timestamp(time.now)`: {0, 2},
		`obj.uri.endsWith("3")`:                           {3}, // no column: these look at what is shown
		`!obj.uri.endsWith("3") && obj.description != ""`: {0, 1, 4},
		`obj.uri == "` + base + `/ip_policies/` + made[0] + `" || obj.description == "Blue whale"`: {0, 1},
		`obj.uri.contains("/ip_policies/") && obj.created_at >= timestamp("2026-01-04T12:00:00Z")`: {3, 4},
		`obj.uri == "nowhere"`: {},
	} {
		list := w.does(200, "GET", filtered("/ip_policies", text), nil)
		var ids []string
		for _, i := range slices.Backward(want) {
			ids = append(ids, made[i])
		}
		if got := idsOf(list); !slices.Equal(got, ids) || list["next_page_uri"] != nil {
			t.Errorf("%s: %v, next %v; want %v", text, got, list["next_page_uri"], ids)
		}
	}
	if list := w.does(200, "GET", "/ip_policies", nil); len(idsOf(list)) != len(made) {
		t.Errorf("afterwards there are %d policies", len(idsOf(list)))
	}
}

func idsOf(list object) []string { return ids(list, "ip_policies") }

func tunnelsOf(list object) []string { return ids(list, "tunnels") }

func TestWrongFiltersAreRefused(t *testing.T) {
	w := newWorld(t)
	for text, says := range map[string]string{
		`obj.colour == "blue"`:          "from character 1 on: there is no field obj.colour to filter by; there are obj.created_at, obj.description, obj.id, obj.metadata, obj.uri",
		`obj.description = "blue"`:      "from character 17 on",
		`1=1; DROP TABLE ip_policies`:   "from character 2 on",
		`' OR '1'='1`:                   "from character 7 on",
		`obj.id.startsWith("ipp_")`:     "ids are random",
		`obj.description.matches(".*")`: "regular expressions",
		`obj.account_id == "x"`:         "there is no field obj.account_id",
		"\xff":                          "no UTF-8",
		strings.Repeat("(", 1_000_000):  "bytes",
	} {
		message := w.refused(400, postern.CodeFilterInvalid, "GET", filtered("/ip_policies", text), nil)
		if !strings.Contains(message, says) {
			t.Errorf("%.80s: %s, want %q", text, message, says)
		}
	}
	w.refused(400, postern.CodeParameterRepeated, "GET", "/ip_policies?filter=true&filter=true", nil)
	w.refused(400, postern.CodeParameterUnknown, "GET", "/ip_policies/ipp_1?filter=true", nil)
}

// Pages keep the filter, also where the resources are looked at one by one.
func TestPagesOfFilteredLists(t *testing.T) {
	w := newWorld(t)
	descriptions := slices.Repeat([]string{"a & b", "c+d", "a & b"}, 4)
	made := w.put(descriptions...)
	for _, text := range []string{`obj.description == "a & b"`, `obj.description == "a & b" && obj.uri != ""`} {
		var want, got []string
		for i, id := range slices.Backward(made) {
			if descriptions[i] == "a & b" {
				want = append(want, id)
			}
		}
		pages := 0
		for next := any(filtered("/ip_policies", text) + "&limit=3"); next != nil; pages++ {
			page := w.does(200, "GET", next.(string), nil) //nolint:forcetypeassert // a test
			got = append(got, idsOf(page)...)
			if next = page["next_page_uri"]; next == nil {
				continue
			}
			address, err := url.Parse(next.(string)) //nolint:forcetypeassert // a test
			if err != nil || address.Query().Get("filter") != text || address.Query().Get("limit") != "3" {
				t.Errorf("the next page is %v", next)
			}
		}
		if !slices.Equal(got, want) || pages < 3 || pages > 4 {
			t.Errorf("%s: %d pages with %v, want %v", text, pages, got, want)
		}
	}
}

// A filter that the store cannot help with looks at so many resources and no more. It
// says so, or goes on with the next page, but never looks like the end of the list.
func TestScansAreBounded(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Scanned = 700 })
	made := w.put(slices.Repeat([]string{"x"}, 703)...)
	find := func(ids ...string) string {
		return filtered("/ip_policies", `obj.uri in ["`+base+"/ip_policies/"+strings.Join(ids, `", "`+base+"/ip_policies/")+`"]`)
	}
	oldest, newest := made[0], made[len(made)-1]
	page := w.does(200, "GET", find(oldest, newest), nil)
	if got := idsOf(page); !slices.Equal(got, []string{newest}) {
		t.Fatalf("the first page has %v", got)
	}
	next, _ := page["next_page_uri"].(string)
	if page = w.does(200, "GET", next, nil); !slices.Equal(idsOf(page), []string{oldest}) || page["next_page_uri"] != nil {
		t.Errorf("the next page has %v and is followed by %v", idsOf(page), page["next_page_uri"])
	}
	message := w.refused(400, postern.CodeFilterInvalid, "GET", find(oldest), nil)
	if !strings.Contains(message, "700 resources") || !strings.Contains(message, "obj.created_at, obj.description, obj.id, obj.metadata") {
		t.Errorf("the message is %s", message)
	}
}

// What is in memory only is filtered, too, however much there is of it.
func TestLiveListsAreFiltered(t *testing.T) {
	live := &agents{}
	w := newWorld(t, func(c *api.Config) { c.Live, c.Scanned = live, 700 })
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2000 {
		put(&live.endpoints, w.first.AccountID, postern.Endpoint{
			ID: postern.EndpointID(ksuidLike("ep", i)), Session: postern.SessionID(ksuidLike("ts", i/1000)),
			URL: postern.URL{Scheme: postern.HTTPS, Host: postern.Hostname(fmt.Sprintf("app%d.example.com", i))}, StartedAt: start.Add(time.Duration(i) * time.Minute),
		})
	}
	for text, want := range map[string][]int{
		`obj.public_url == "https://app7.example.com"`:                                                        {7},
		`obj.tunnel_session.id == "` + ksuidLike("ts", 0) + `" && obj.public_url.startsWith("https://app77")`: {779, 778, 777, 776, 775, 774, 773, 772, 771, 770, 77},
		`obj.tunnel_session == "nobody"`:                                                                      {},
		`obj.started_at < timestamp("2026-03-01T00:02:00Z") && obj.proto in ["https"]`:                        {1, 0},
	} {
		var ids []string
		for _, i := range want {
			ids = append(ids, ksuidLike("tn", i))
		}
		list := w.does(200, "GET", filtered("/tunnels", text), nil)
		if got := tunnelsOf(list); !slices.Equal(got, ids) || list["next_page_uri"] != nil {
			t.Errorf("%s: %v, next %v; want %v", text, got, list["next_page_uri"], ids)
		}
	}
}

// Every field of every resource can be asked for: whatever is said to be a column is one,
// of that type.
func TestEveryFieldCanBeFilteredBy(t *testing.T) {
	w := newWorld(t)
	asked := 0
	for _, d := range resource.Table() {
		if !d.Operations.Has(resource.List) || w.send("GET", d.Path(), nil).StatusCode == 404 {
			continue
		}
		for path, field := range filter.Of(d.Object, nil) {
			text := map[filter.Type]string{
				filter.Text: `obj.%[1]s == "x" || size(obj.%[1]s) > 3`, filter.Number: `obj.%s < 7`, filter.Boolean: `!obj.%s`,
				filter.Time: `obj.%s > timestamp(time.now)`, filter.List: `"x" in obj.%s`,
			}[field.Type]
			asked++
			w.does(200, "GET", filtered(d.Path(), fmt.Sprintf(text, path)), nil)
			w.does(200, "GET", filtered(d.Path(), fmt.Sprintf("obj.%s == null", path)), nil)
		}
	}
	if asked < len(filter.Of(reflect.TypeFor[resource.IPPolicy](), nil)) {
		t.Errorf("only %d fields were asked for", asked)
	}
}

// findable makes sure that what was made is found by everything that it shows: what the
// service says about columns is true.
func (w *world) findable(path string, made object) {
	w.t.Helper()
	i := slices.IndexFunc(resource.Table(), func(d resource.Definition) bool { return d.Path() == path && d.Operations.Has(resource.List) })
	if i < 0 {
		return
	}
	d := resource.Table()[i]
	id, _ := made["id"].(string)
	shown := w.send("GET", path+"/"+id, nil) // without what only the answer to a creation shows
	if shown.StatusCode != 200 {
		return
	}
	conditions := []string{fmt.Sprintf("obj.id == %q", id)}
	for field, kind := range filter.Of(d.Object, nil) {
		if condition := conditionOf(field, kind.Type, shown.body); len(condition) < 500 {
			conditions = append(conditions, condition)
		}
	}
	text := strings.Join(conditions, " && ")
	got := w.send("GET", filtered(path, text), nil)
	if found := ids(got.body, d.ListKey); got.StatusCode != 200 || len(found) != 1 || found[0] != id {
		w.t.Errorf("%v is not found by %s: %d %s", made, text, got.StatusCode, got.text)
	}
}

// conditionOf is the condition that a field is what it is.
func conditionOf(field string, kind filter.Type, in object) string {
	var value any = in
	for name := range strings.SplitSeq(field, ".") {
		inner, _ := value.(object)
		value = inner[name]
	}
	switch value := value.(type) {
	case nil:
		return "obj." + field + " == null"
	case []any:
		return fmt.Sprintf("size(obj.%s) == %d", field, len(value))
	case string:
		if kind == filter.Time {
			return fmt.Sprintf("obj.%s == timestamp(%q)", field, value)
		}
		return fmt.Sprintf("obj.%s == %q", field, value)
	}
	return fmt.Sprintf("obj.%s == %v", field, value)
}
