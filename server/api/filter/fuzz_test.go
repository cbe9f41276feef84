package filter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/store"
)

// Whatever somebody writes as a filter, it is soon refused with the code for that, or
// soon answered, and the store and the resource itself give the same answer.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"", "true", `obj.name == "blue whale"`, `obj.live && !(obj.count in [1, 2]) || size(obj.acl) > 1`,
		`obj.at > timestamp(time.now).subtract("7d")`, `obj.at == timestamp("2026-03-10T12:00:00Z")`,
		`obj.name.startsWith("b") && "x" in obj.acl`, `obj.owner != null`, `obj.kind == "agent"`,
		`obj.id == "x' OR 1=1 --"`, `((((obj.live))))`, `!!!!obj.live`, `obj.name == "😀\u0000"`, "obj.`a`", `[[[[`, `{"a":`,
		`obj.size < -9223372036854775808`, `obj.a.b.c.d`, `has(obj.x)`, `obj.acl.all(x, x)`, `1 ? 2 : 3`, "\xff", `b"\x00"`,
		`obj.count == 1u`, `obj.seen in [timestamp("0001-01-01T00:00:00Z")]`, `'''`, `obj . name == r"\"`,
	} {
		f.Add(seed, "blue whale", int64(7), true, int64(1_500_000))
	}
	f.Fuzz(func(t *testing.T, text, name string, count int64, live bool, micros int64) {
		at := now.Add(time.Duration(micros%1e12) * time.Microsecond).Truncate(time.Microsecond)
		row := map[string]any{
			"id": "x_1", "title": name, "note": nil, "kind": "ephemeral", "count": count, "size": nil, "live": live, "idle": nil,
			"at": at, "seen": nil, "owner_id": name, "acl": []any{name}, "version": nil,
		}
		begun := time.Now()
		got, err := filter.Compile(text, fields, now)
		if err != nil {
			refused(t, got, err)
			return
		}
		where, whole := got.SQL()
		selected := store.Matches(where, func(field string) any { return row[field] })
		through := got.Match(shown(row))
		if through && !selected || whole && through != selected {
			t.Errorf("the store selects %v, the resource says %v (whole: %v)", selected, through, whole)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%d bytes took %v", len(text), took)
		}
	})
}

func refused(t *testing.T, f *filter.Filter, err error) {
	t.Helper()
	message := postern.AsError(err).Text()
	if f != nil || !postern.HasCode(err, postern.CodeFilterInvalid) {
		t.Errorf("%v, %v", f, err)
	}
	if !strings.HasPrefix(message, "the filter cannot be used") || len(message) > 500 {
		t.Errorf("%d bytes of a message: %s", len(message), message)
	}
	if quoted, err := json.Marshal(message); err != nil || strings.Contains(string(quoted), `\ufffd`) {
		t.Errorf("the message is no text: %q, %v", message, err)
	}
}
