package filter_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/store"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 500_000_000, time.UTC)

// fields are those of a resource that has one of everything. Of name, count, live and
// at there are columns.
var fields = filter.Fields{
	"id": {Store: "id"}, "name": {Store: "title"}, "note": {}, "kind": {Means: map[string]string{"agent": "ephemeral"}},
	"count": {Type: filter.Number, Store: "count"}, "size": {Type: filter.Number},
	"live": {Type: filter.Boolean, Store: "live"}, "idle": {Type: filter.Boolean},
	"at": {Type: filter.Time, Store: "at"}, "seen": {Type: filter.Time},
	"acl": {Type: filter.List}, "owner.id": {Store: "owner_id"}, "session.agent.version": {},
}

// object is the resource, as JSON shows it.
func object() map[string]any {
	return map[string]any{
		"id": "x_1", "name": "blue whale", "note": "", "kind": "ephemeral",
		"count": float64(7), "size": nil, "live": true, "idle": false,
		"at": "2026-03-03T12:00:00Z", "seen": nil, "acl": []any{"bind:*", "bind:a"},
		"owner":   map[string]any{"id": "usr_1", "uri": "/users/usr_1"},
		"session": map[string]any{"agent": map[string]any{"version": "3.1"}},
	}
}

func compile(t testing.TB, text string) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(text, fields, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilters(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, " \n": true, "true": true, "!true": false, "(false) || !!true": true,

		`obj.name == "blue whale"`: true, `obj.name != 'blue whale'`: false, `"blue whale" == obj.name`: true,
		`obj.name == "Blue whale"`: false, `obj.name < "c"`: true, `"c" > obj.name`: true, `"c" <= obj.name`: false,
		`obj.note == ""`: true, `obj.note == null`: false, `obj.note != null`: true, `obj.name == "blue\u0020whale"`: true,
		`obj.name == r"blue\u0020whale"`: false, `obj.name == """blue whale"""`: true,

		`obj.name.startsWith("blue")`: true, `obj.name.endsWith("blue")`: false, `obj.name.contains("e w")`: true,
		`obj.name.contains("")`: true, `obj.name.contains("%")`: false, `obj.name.contains("_")`: false,

		`size(obj.name) == 10`: true, `obj.name.size() > 10`: false, `0 == size(obj.note)`: true, `9 < size(obj.name)`: true,
		`size(obj.acl) == 2`: true, `size(obj.acl) != 2`: false,

		`obj.name in ["red", "blue whale",]`: true, `obj.name in []`: false, `!(obj.name in ["red"])`: true,
		`obj.count in [1, 7]`: true, `"bind:a" in obj.acl`: true, `"bind" in obj.acl`: false,
		`obj.acl == null`: false, `obj.acl == "" || obj.acl != ""`: true,

		`obj.count == 7`: true, `obj.count >= 0x8`: false, `obj.count > -1`: true, `7 > obj.count`: false,
		`obj.size == null`: true, `obj.size < 1`: false, `obj.size >= 1`: false, `obj.size != 1`: true, `!(obj.size < 1)`: true,

		`obj.live`: true, `!obj.live`: false, `obj.idle == false`: true, `obj.live != true`: false, `obj.live in [false]`: false,

		`obj.at == timestamp("2026-03-03T12:00:00Z")`: true, `obj.at == timestamp("2026-03-03T13:00:00+01:00")`: true,
		`obj.at < timestamp("2026-03-03T12:00:00.1Z")`: true, `obj.at >= timestamp("2026-03-03T12:00:00.1Z")`: false,
		`obj.at == timestamp("2026-03-03T12:00:00.1Z")`: false, `obj.at in [timestamp("2026-03-03T12:00:00Z")]`: true,
		`obj.at in [timestamp("2026-03-04T12:00:00Z")]`: false, `timestamp("2026-03-04Z") > obj.at`: true, `obj.at > timestamp("2026-03-03")`: true,
		`obj.at < timestamp(time.now)`: true, `obj.at > timestamp(time.now).subtract("7d")`: false,
		`obj.at > timestamp(time.now).subtract("7d").subtract("1s")`: true, `obj.at > timestamp(time.now).subtract("169h")`: true,
		`obj.at < timestamp(time.now).add("15m")`: true, `obj.at < timestamp("2026-03-03T11:45:00Z").add("15m")`: false,
		`obj.seen == null`: true, `obj.seen != timestamp(time.now)`: true, `obj.seen < timestamp(time.now)`: false,

		`obj.owner.id == "usr_1"`: true, `obj.owner == "usr_1"`: true, `obj.owner != null`: true,
		`obj.session.agent.version.startsWith("3.")`: true,
		`obj.kind == "agent"`:                        true, `obj.kind == "ephemeral"`: true, `obj.kind in ["cloud", "agent"]`: true, `obj.kind != "agent"`: false,

		`obj.live && obj.name == "x" || obj.count == 7`: true, `obj.live && (obj.name == "x" || obj.count == 8)`: false,
		`!obj.live || !!obj.live`: true, "obj.live // why not\n&& obj.count == 7": true,

		`obj.id == "x' OR 1=1 --"`: false, `obj.name == "\"; DROP TABLE ip_policies; --"`: false,
	} {
		if got := compile(t, text).Match(object()); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// An account sees what a filter lets through, and the store is asked for as much of it
// as it can be.
func TestWhatTheStoreIsAsked(t *testing.T) {
	title, count := store.Equal("title", "a"), store.Equal("count", int64(1))
	for text, want := range map[string]struct {
		where store.Filter
		whole bool
	}{
		"":                                  {nil, true},
		"true":                              {nil, true},
		"false":                             {store.Or{}, true},
		`obj.name == "a"`:                   {title, true},
		`obj.name == "a' OR 1=1 --"`:        {store.Equal("title", "a' OR 1=1 --"), true},
		`obj.name == "a" && obj.count == 1`: {store.And{title, count}, true},
		`obj.name == "a" && obj.note == "b" && obj.count == 1`:   {store.And{title, count}, false},
		`obj.name == "a" && !(obj.note == "b")`:                  {title, false},
		`obj.name == "a" || obj.note == "b"`:                     {nil, false},
		`obj.count == 1 && (obj.name == "a" || obj.note == "b")`: {count, false},
		`(obj.name == "a" && obj.note == "b") || obj.count == 1`: {store.Or{title, count}, false},
		`!(obj.name == "a" && obj.note == "b")`:                  {nil, false},
		`!(obj.name == "a")`:                                     {store.Not{Filter: title}, true},
		`!true`:                                                  {store.Or{}, true},
		`obj.note == "b" || true`:                                {nil, false},
		`true || obj.name == "a"`:                                {nil, true},
		`obj.acl == null`:                                        {nil, false},
		`obj.name == "a" && "x" in obj.acl`:                      {title, false},
		`obj.owner == "usr_1"`:                                   {store.Equal("owner_id", "usr_1"), true},
		`obj.name in ["a", "b"]`:                                 {store.OneOf("title", "a", "b"), true},
		`size(obj.name) > 3`:                                     {store.Size{Field: "title", Op: store.More, Size: 3}, true},
		`obj.live`:                                               {store.Equal("live", true), true},
		`obj.at <= timestamp("2026-01-31T00:00:00Z")`: {store.Compare{
			Field: "at", Op: store.Less, Value: time.Date(2026, 1, 31, 0, 0, 1, 0, time.UTC),
		}, true},
	} {
		where, whole := compile(t, text).SQL()
		if !reflect.DeepEqual(where, want.where) || whole != want.whole {
			t.Errorf("%s: %#v, %v", text, where, whole)
		}
	}
}

// What is wrong is named, with its place and what may be written instead.
func TestWrongFilters(t *testing.T) {
	for text, says := range map[string]string{
		`obj.nme == "x"`:                                   `character 1 on: there is no field obj.nme to filter by; there are obj.acl, obj.at, `,
		`obj.live && obj.nme == "x"`:                       "character 13 on",
		`obj.live && "é" == obj.name && x`:                 `character 32 on: there is no "x"`,
		`description == "x"`:                               `there is no "description"; fields are written obj.name`,
		`obj`:                                              "no field obj.",
		`obj.owner.uri == "x"`:                             "no field obj.owner.uri",
		`obj.name`:                                         "not true or false",
		`obj.name == blue`:                                 "character 13 on: here goes a constant",
		`obj.name == obj.note`:                             "here goes a constant",
		`size(obj.name) == size(obj.note)`:                 "here goes a constant",
		`1 == 1`:                                           "only fields and their sizes",
		`obj.name == 7`:                                    `a text in quotes, as in obj.name == "text"`,
		`obj.count == "7"`:                                 "a whole number",
		`obj.count == 7.0`:                                 "not a condition",
		`obj.count == 7u`:                                  "not a condition",
		`obj.name == b"x"`:                                 "not a condition",
		`obj.live == 1`:                                    "true or false",
		`obj.live > true`:                                  "have no order",
		`obj.count > null`:                                 "null has no order",
		`obj.at > "2026-01-31T00:00:00Z"`:                  `a time, as in obj.at > timestamp("2026-01-31T00:00:00Z")`,
		`obj.at > timestamp("yesterday")`:                  "character 20 on: a time is written",
		`obj.at > timestamp(now)`:                          "a time is written",
		`obj.at > now()`:                                   "timestamp(time.now)",
		`obj.at > daysAgo(7)`:                              `timestamp(time.now).subtract("7d")`,
		`obj.at > timestamp(time.now).subtract("7w")`:      "a whole number of d, h, m or s",
		`obj.at > timestamp(time.now).subtract("-7d")`:     "a whole number of d, h, m or s",
		`obj.at > timestamp(time.now).subtract(7)`:         "a whole number of d, h, m or s",
		`obj.at > timestamp(time.now).subtract("999999d")`: "a whole number of d, h, m or s",
		`obj.at > timestamp("0001-01-01Z").subtract("1s")`: "years 1 to 9999",
		`obj.at > timestamp("9999-12-31T23:59:59-01:00")`:  "years 1 to 9999",
		`obj.at > obj.seen.subtract("7d")`:                 "here goes a constant",
		`obj.id.startsWith("x_")`:                          "ids are random",
		`obj.owner.contains("usr")`:                        "ids are random",
		`obj.count.contains("7")`:                          "not a text",
		`obj.acl.contains("7")`:                            "not a text",
		`"blue".startsWith(obj.name)`:                      `write obj.description.startsWith("text")`,
		`obj.name.startsWith(7)`:                           "takes a text in quotes",
		`obj.name.startsWith("a", "b")`:                    `write obj.description.startsWith("text")`,
		`obj.name.matches("b.*")`:                          "no regular expressions",
		`obj.acl[0] == "x"`:                                "do not look into lists and maps",
		`obj["name"] == "x"`:                               "do not look into lists and maps",
		`obj.count + 1 == 8`:                               "filters do not calculate",
		`obj.count == 7 + 1`:                               "filters do not calculate",
		`-obj.count`:                                       "filters do not calculate",
		`obj.live ? true : false`:                          "no a ? b : c",
		`type(obj.name) == string`:                         "do not ask for types",
		`obj.acl.exists(r, r == "x")`:                      "filters have no exists()",
		`has(obj.name)`:                                    "filters have no has()",
		`{"a": 1}`:                                         "not a condition",
		`[1]`:                                              "not a condition",
		`ip_policy{id: "x"}`:                               "not a condition",
		`obj.acl == "x"`:                                   `"text" in obj.acl`,
		`obj.acl in ["x"]`:                                 `"text" in obj.acl`,
		`["a", "b"] in obj.acl`:                            "not a condition",
		`"a" in obj.name`:                                  "goes a list",
		`obj.name in "a"`:                                  "goes a list",
		`1 in [1]`:                                         "goes a list",
		`obj.name in ["a", null]`:                          "a text in quotes",
		`obj.name in ["a", obj.note]`:                      "here goes a constant",
		`size(obj.count) > 1`:                              "has no size",
		`size("abc") == 3`:                                 "only fields have a size",
		`size(obj.name) == "3"`:                            "sizes are compared with whole numbers",
		`size(obj.name)`:                                   "filters have no size()",
		`"x"`:                                              "not a condition",
		`null`:                                             "not a condition",
		`obj.name = "x"`:                                   "character 10 on",
		`obj.name == "x`:                                   "character 13 on",
		`obj.name ==`:                                      "character 12 on",
		`obj.live && (obj.live`:                            "character 22 on",
		`obj.live obj.live`:                                "character 10 on",
		`obj.live and obj.live`:                            "character 10 on",
		`1=1; DROP TABLE ip_policies`:                      "character 2 on",
		`obj.name == "a" OR 1=1 --`:                        "character 17 on",
		`.obj.live`:                                        `there is no ".obj"`,
		"obj.`name` == 'x'":                                "character 5 on",
		`obj.name == "\u0000"`:                             "character 0",
		"obj.name == \"\x00\"":                             "control characters",
		"obj.name == \"\x1b[31m\"":                         "control characters",
		"obj.name == \"\xff\"":                             "no UTF-8",
		`obj.nаme == "x"`:                                  "character 6 on", // a Cyrillic а
		`obj.name == “x”`:                                  "character 13 on",
		`obj.count == 9223372036854775808`:                 "invalid int literal",
	} {
		f, err := filter.Compile(text, fields, now)
		if f != nil || !postern.HasCode(err, postern.CodeFilterInvalid) || !strings.Contains(postern.AsError(err).Text(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// What is made to hurt is refused soon, and what is only long is not.
func TestFiltersAreBounded(t *testing.T) {
	many := func(text string, n int) string { return strings.Repeat(text, n) }
	long := func(n int) string { return "obj.live" + many(" && obj.live", n-1) }
	for name, test := range map[string]struct{ text, says string }{
		"bytes":            {`obj.name == "` + many("a", 10_000) + `"`, "it has 10014 bytes, and may have 8192"},
		"bytes, unicode":   {`obj.name == "` + many("😀", 3000) + `"`, "12014 bytes"},
		"a million":        {many("(", 1_000_000), "bytes"},
		"parentheses":      {many("(", 4000), "nested"},
		"balanced":         {many("(", 40) + "obj.live" + many(")", 40), "nested"},
		"lists":            {many("[", 4000), "nested"},
		"maps":             {many("{1:", 2000), "nested"},
		"members":          {"obj" + many(".a", 4000), "nested"},
		"calls":            {many("size(", 1000), "nested"},
		"indexes":          {"obj" + many("[0]", 2000), "nested"},
		"ternaries":        {many("true ? true : ", 300) + "true", "nested"},
		"arithmetic":       {many("1+", 4000) + "1", "nested"},
		"comparisons":      {many("1<", 4000) + "1", "nested"},
		"nots":             {many("!(", 1000), "nested"},
		"conditions":       {long(300), "asks for too much"},
		"values":           {"obj.count in [" + many("1,", 300) + "]", "asks for too much"},
		"values, in parts": {many("obj.count in ["+many("1,", 50)+"] || ", 6) + "obj.live", "asks for too much"},
		"searches":         {many(`obj.name.contains("a") || `, 40) + "obj.live", "asks for too much"},
		"a long token":     {many("a", 8000), "there is no"},
		"a long field":     {"obj." + many("a", 8000) + " == 1", "there is no field"},
		"unexpected token": {`obj.live "` + many("a", 8000) + `"`, "character 10 on"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			f, err := filter.Compile(test.text, fields, now)
			if f != nil || !postern.HasCode(err, postern.CodeFilterInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if len(err.Error()) > 600 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	for name, text := range map[string]string{
		"conditions":  long(200),
		"values":      "obj.count in [" + many("1,", 250) + "7]",
		"nots":        many("!", 5000) + "obj.live",
		"parentheses": many("(", 20) + "obj.live" + many(")", 20),
		"or":          strings.TrimSuffix(many("obj.count == 7 || ", 200), " || "),
	} {
		if !compile(t, text).Match(object()) {
			t.Errorf("%s do not match", name)
		}
	}
}

func TestFieldsOfAType(t *testing.T) {
	type notes struct {
		Description string `json:"description"`
	}
	type ref struct {
		ID  string `json:"id"`
		URI string `json:"uri"`
	}
	type resource struct {
		notes           // unexported, but its fields are not
		Hidden   string `json:"-"`
		Bare     string
		Token    *string           `json:"token" api:"secret,nullable"`
		Count    *int              `json:"count"`
		Live     bool              `json:"live,omitzero"`
		At       *time.Time        `json:"at"`
		ACL      []string          `json:"acl"`
		Sources  []ref             `json:"sources"`
		Labels   map[string]string `json:"labels"`
		Policy   *ref              `json:"policy"`
		Fraction float64           `json:"fraction"`
		Kind     string            `json:"kind" filter:"agent=ephemeral,b=c"`
	}
	got := filter.Of(reflect.TypeFor[resource](), map[string]string{"policy.id": "policy_id", "gone": "gone"})
	want := filter.Fields{
		"description": {}, "count": {Type: filter.Number}, "live": {Type: filter.Boolean}, "at": {Type: filter.Time},
		"acl": {Type: filter.List}, "policy.id": {Store: "policy_id"}, "policy.uri": {},
		"kind": {Means: map[string]string{"agent": "ephemeral", "b": "c"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// A filter's values are looked up wherever JSON has put them.
func TestValuesOfOtherShapes(t *testing.T) {
	for name, o := range map[string]map[string]any{
		"go":      {"count": int64(7), "at": now, "acl": []string{"x"}},
		"another": {"count": 7, "at": now.Format(time.RFC3339Nano), "acl": []any{1, nil, "x", map[string]any{}}},
	} {
		if !compile(t, `obj.count == 7 && obj.at == timestamp("2026-03-10T12:00:00Z") && "x" in obj.acl && obj.owner == null`).Match(o) {
			t.Errorf("%s: no match", name)
		}
	}
	broken := map[string]any{"count": 7.5, "at": "soon", "acl": "x", "owner": []any{}, "session": nil, "live": "true"}
	if !compile(t, `obj.count == null && obj.at == null && obj.acl == null && obj.owner == null && obj.session.agent.version == null && !obj.live`).Match(broken) {
		t.Error("what has another type is not like null")
	}
}

func TestNoFilterLetsEverythingThrough(t *testing.T) {
	var f *filter.Filter
	if where, whole := f.SQL(); where != nil || !whole || !f.Match(nil) {
		t.Error("it lets something out")
	}
}
