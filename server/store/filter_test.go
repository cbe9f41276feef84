package store_test

import (
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func TestFilterMatches(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	row := store.Values(func(field string) any {
		return map[string]any{"name": "Grüße", "size": int64(7), "on": true, "at": at, "empty": ""}[field]
	})
	is := func(field string, op store.Op, value any) store.Filter {
		return store.Compare{Field: field, Op: op, Value: value}
	}
	for name, test := range map[string]struct {
		filter store.Filter
		want   bool
	}{
		"nothing asked":        {nil, true},
		"all of none":          {store.And{}, true},
		"one of none":          {store.Or{}, false},
		"a part that is nil":   {store.And{nil}, true},
		"equal":                {store.Equal("name", "Grüße"), true},
		"case":                 {store.Equal("name", "grüße"), false},
		"another type":         {store.Equal("size", "7"), false},
		"another instant":      {store.Equal("at", at.Add(1)), false},
		"same instant":         {store.Equal("at", at.In(time.FixedZone("", 3600))), true},
		"null":                 {store.Equal("gone", nil), true},
		"empty is not null":    {store.Equal("empty", nil), false},
		"null is not empty":    {store.Equal("gone", ""), false},
		"null differs":         {is("gone", store.Differs, "x"), true},
		"null is not less":     {is("gone", store.Less, "x"), false},
		"nor more":             {is("gone", store.AtLeast, ""), false},
		"not less than null":   {store.Not{Filter: is("gone", store.Less, "x")}, true},
		"less":                 {is("size", store.Less, int64(8)), true},
		"at most":              {is("size", store.AtMost, int64(7)), true},
		"more":                 {is("at", store.More, at.Add(-1)), true},
		"at least":             {is("at", store.AtLeast, at.Add(1)), false},
		"booleans: no order":   {is("on", store.AtLeast, false), false},
		"starts":               {is("name", store.StartsWith, "Grü"), true},
		"starts, empty":        {is("empty", store.StartsWith, ""), true},
		"contains":             {is("name", store.Contains, "üß"), true},
		"ends":                 {is("name", store.EndsWith, "ße"), true},
		"a null contains none": {is("gone", store.Contains, ""), false},
		"one of":               {store.OneOf("size", int64(1), int64(7)), true},
		"a type of its own":    {store.Equal("name", postern.UserID("Grüße")), true},
		"an int":               {store.OneOf("size", 1, 7), true},
		"null is none of":      {store.In{Field: "gone", Values: []any{nil}}, false},
		"characters":           {store.Size{Field: "name", Op: store.Equals, Size: 5}, true},
		"null has no size":     {store.Size{Field: "gone", Op: store.Equals, Size: 0}, false},
		"unknown comparison":   {is("size", "=~", int64(7)), false},
		"or":                   {store.Or{store.Equal("size", int64(1)), store.Equal("on", true)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := store.Matches(test.filter, row); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAllLeavesOutWhatIsNil(t *testing.T) {
	if f := store.All(nil, nil); f != nil {
		t.Errorf("all of nothing is %v", f)
	}
	one := store.Equal("id", "x")
	if f, ok := store.All(nil, one).(store.Compare); !ok || f != one {
		t.Errorf("all of one is %v", f)
	}
	if f, ok := store.All(one, nil, one).(store.And); !ok || len(f) != 2 {
		t.Errorf("all of two is %v", f)
	}
}
