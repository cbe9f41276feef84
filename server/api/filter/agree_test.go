package filter_test

import (
	"fmt"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"pgregory.net/rapid"

	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/store"
)

// writer draws the texts of filters. Values are few, so that they meet those of
// resources.
type writer struct {
	*rapid.T
	// cel leaves out what is ngrok's and not CEL's.
	cel bool
}

func (w writer) pick(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(w.T, label)
}

func (w writer) condition(depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 4).Draw(w.T, "form") {
		case 0:
			return w.condition(depth-1) + " && " + w.condition(depth-1)
		case 1:
			return w.condition(depth-1) + " || " + w.condition(depth-1)
		case 2:
			return "!(" + w.condition(depth-1) + ")"
		case 3:
			return "(" + w.condition(depth-1) + ")"
		}
	}
	return w.leaf()
}

func (w writer) leaf() string {
	op := w.pick("op", "==", "!=", "<", "<=", ">", ">=")
	same := w.pick("same", "==", "!=")
	switch w.pick("leaf", "text", "text", "number", "boolean", "time", "time", "list", "constant", "null") {
	case "text":
		return w.text(op)
	case "number":
		field := w.pick("field", "obj.count", "obj.size")
		return w.pick("order", field+" "+op+" "+w.number(), w.number()+" "+op+" "+field,
			field+" in ["+w.number()+", "+w.number()+"]")
	case "boolean":
		return w.pick("flag", "obj.live", "!obj.live", "obj.idle "+same+" true", "obj.live in [false]")
	case "time":
		field := w.pick("field", "obj.at", "obj.seen")
		return w.pick("order", field+" "+op+" "+w.time(), w.time()+" "+op+" "+field, field+" in ["+w.time()+", "+w.time()+"]")
	case "list":
		forms := []string{w.value() + " in obj.acl", "size(obj.acl) " + op + " " + w.number()}
		if !w.cel {
			forms = append(forms, "obj.acl "+same+` ""`, "obj.acl "+same+" null")
		}
		return w.pick("form", forms...)
	case "null":
		return w.pick("field", "obj.name", "obj.note", "obj.count", "obj.live", "obj.at", "obj.seen", "obj.owner.id") + " " + same + " null"
	}
	return w.pick("constant", "true", "false")
}

func (w writer) text(op string) string {
	field := w.pick("field", "obj.name", "obj.note", "obj.owner.id", "obj.session.agent.version")
	forms := []string{
		field + " " + op + " " + w.value(), w.value() + " " + op + " " + field,
		field + " in [" + w.value() + ", " + w.value() + "]",
		"size(" + field + ") " + op + " " + w.number(),
	}
	if field != "obj.owner.id" {
		forms = append(forms, field+"."+w.pick("search", "startsWith", "contains", "endsWith")+"("+w.value()+")")
	}
	if !w.cel {
		forms = append(forms, "obj.owner == "+w.value(), `obj.kind == `+w.pick("kind", `"agent"`, `"ephemeral"`))
	}
	return w.pick("form", forms...)
}

func (w writer) value() string {
	return fmt.Sprintf("%q", rapid.StringOfN(rapid.SampledFrom([]rune(`aB%_'é😀`)), 0, 2, -1).Draw(w.T, "value"))
}

func (w writer) number() string { return w.pick("number", "-1", "0", "1", "2", "3") }

func (w writer) time() string {
	moments := []string{
		`timestamp("2026-03-10T12:00:00Z")`, `timestamp("2026-03-10T12:00:01Z")`, `timestamp("2026-03-10T13:59:59.25+02:00")`,
	}
	if !w.cel {
		moments = append(moments, `timestamp(time.now)`, `timestamp(time.now).add("1s")`, `timestamp("2026-03-11Z").subtract("12h")`)
	}
	return w.pick("time", moments...)
}

// row is what the store has of a resource; its times have microseconds.
func row(t *rapid.T) map[string]any {
	text := rapid.StringOfN(rapid.SampledFrom([]rune(`aB%_'é😀`)), 0, 4, -1).AsAny()
	second := rapid.Custom(func(t *rapid.T) any {
		return now.Truncate(time.Second).Add(time.Duration(rapid.Int64Range(-2_000_000, 2_000_000).Draw(t, "µs")) * time.Microsecond)
	})
	of := func(label string, values *rapid.Generator[any]) any {
		return rapid.OneOf(rapid.Just[any](nil), values, values, values).Draw(t, label)
	}
	number := rapid.Int64Range(-1, 3).AsAny()
	return map[string]any{
		"id": "x_1", "title": of("name", text), "note": of("note", text), "kind": "ephemeral",
		"count": of("count", number), "size": of("size", number),
		"live": of("live", rapid.Bool().AsAny()), "idle": of("idle", rapid.Bool().AsAny()),
		"at": of("at", second), "seen": of("seen", second), "owner_id": of("owner", text),
		"acl": rapid.SliceOfN(text, 0, 3).Draw(t, "acl"), "version": of("version", text),
	}
}

// shown is how the API shows a row.
func shown(row map[string]any) map[string]any {
	moment := func(v any) any {
		if at, ok := v.(time.Time); ok {
			return at.UTC().Truncate(time.Second)
		}
		return v
	}
	o := map[string]any{
		"name": row["title"], "at": moment(row["at"]), "seen": moment(row["seen"]),
		"owner":   map[string]any{"id": row["owner_id"]},
		"session": map[string]any{"agent": map[string]any{"version": row["version"]}},
	}
	for _, same := range []string{"id", "note", "kind", "count", "size", "live", "idle", "acl"} {
		o[same] = row[same]
	}
	return o
}

// What the store selects is what the filter lets through, and no less than that where
// the store cannot be asked for all of it.
func TestStoreAndResourceAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := writer{T: r}.condition(3)
		f, err := filter.Compile(text, fields, now)
		if err != nil {
			r.Fatal(err)
		}
		where, whole := f.SQL()
		for range 5 {
			row := row(r)
			selected := store.Matches(where, func(field string) any { return row[field] })
			through := f.Match(shown(row))
			if through && !selected || whole && through != selected {
				r.Fatalf("%s\nselects %v, lets through %v (whole: %v) of %v", text, selected, through, whole, row)
			}
		}
	})
}

// Where CEL itself comes to a value, filters come to the same.
func TestFiltersMeanWhatTheyMeanInCEL(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("obj", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	agreed := 0
	rapid.Check(t, func(r *rapid.T) {
		text := writer{T: r, cel: true}.condition(3)
		f, err := filter.Compile(text, fields, now)
		if err != nil {
			r.Fatal(err)
		}
		parsed, issues := env.Parse(text)
		if issues.Err() != nil {
			r.Fatal(issues.Err())
		}
		program, err := env.Program(parsed)
		if err != nil {
			r.Fatal(err)
		}
		for range 5 {
			o := shown(row(r))
			value, _, err := program.Eval(map[string]any{"obj": o})
			if err != nil {
				continue // it orders null
			}
			want, decided := value.Value().(bool)
			if !decided {
				continue // a field that is null stood alone
			}
			agreed++
			if got := f.Match(o); got != want {
				r.Fatalf("%s\n%v, in CEL %v, of %v", text, got, want, o)
			}
		}
	})
	if agreed == 0 {
		t.Error("CEL came to no value")
	}
}
