package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
)

// shapes has a field of every kind that bodies have.
type shapes struct {
	Text   string   `json:"text,omitzero"`
	Maybe  *string  `json:"maybe,omitzero"`
	Switch *bool    `json:"switch,omitzero"`
	Number int      `json:"number,omitzero"`
	Texts  []string `json:"texts,omitzero"`
	Below  *below   `json:"below,omitzero"`
	List   []below  `json:"list,omitzero"`
}

type below struct {
	Name string `json:"name,omitzero"`
}

func TestDecode(t *testing.T) {
	empty := ""
	for text, want := range map[string]shapes{
		`{}`:                             {},
		`{"text":"a","number":-3}`:       {Text: "a", Number: -3},
		`{"maybe":null}`:                 {Maybe: &empty}, // null clears
		`{"text":null,"texts":null}`:     {},
		`{"texts":[]}`:                   {Texts: []string{}}, // not the same as absent
		`{"below":{"name":"x"}}`:         {Below: &below{Name: "x"}},
		`{"list":[{"name":"a"},{}]}`:     {List: []below{{Name: "a"}, {}}},
		" {\n\t\"text\" : \"\\u00e9\" }": {Text: "é"},
	} {
		var got shapes
		if err := decode([]byte(text), &got, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]struct {
		code postern.Code
		says string
	}{
		`{"below":{"nam":"x"}}`:             {postern.CodeFieldUnknown, `"below.nam"`},
		`{"below":{"name":1}}`:              {postern.CodeValueInvalid, `"below.name" is 1; it must be a string`},
		`{"below":7}`:                       {postern.CodeValueInvalid, `"below" is 7; it must be an object`},
		`{"list":[{"name":"a"},{"x":1}]}`:   {postern.CodeFieldUnknown, `"list[1].x"`},
		`{"list":{}}`:                       {postern.CodeValueInvalid, "a list"},
		`{"texts":["a",1]}`:                 {postern.CodeValueInvalid, "a list, each item a string"},
		`{"number":1.5}`:                    {postern.CodeValueInvalid, "a whole number"},
		`{"switch":"true"}`:                 {postern.CodeValueInvalid, "true or false"},
		`{"below":{"name":"a","name":"b"}}`: {postern.CodeBodyUnparsable, `"below.name" is there twice`},
		`null`:                              {postern.CodeBodyUnparsable, "must be an object"},
		`"x"`:                               {postern.CodeBodyUnparsable, "must be an object"},
	} {
		var got shapes
		err := decode([]byte(text), &got, nil)
		if !postern.HasCode(err, want.code) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v, want %s saying %q", text, err, want.code, want.says)
		}
	}
}

// FuzzDecode: whatever comes, an error is coded, and what is accepted means the same to
// encoding/json.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"text":"a","list":[{"name":"b"}],"below":{"name":null}}`, `{"text":"a","text":"b"}`, `[`, `{"maybe":null}`, "{\"text\":\"\xff\"}", strings.Repeat(`{"below":`, 100)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got shapes
		if err := decode(body, &got, nil); err != nil {
			if coded := postern.AsError(err); coded.Code == postern.CodeInternal || coded.Code.Entry().Status >= 500 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		var want shapes
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is accepted, and encoding/json says %v", body, err)
		}
		// Only null differs: here it clears.
		if !strings.Contains(string(body), "null") && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", body, got, want)
		}
	})
}

// Every body that the table knows can be decoded, and everything in it is a kind that
// messages have words for.
func TestBodiesOfTheTable(t *testing.T) {
	for _, d := range resource.Table() {
		for _, body := range []reflect.Type{d.Creation, d.Change} {
			if body == nil {
				continue
			}
			if err := decode([]byte("{}"), reflect.New(body).Interface(), nil); err != nil {
				t.Errorf("%s: %v", body, err)
			}
			for i := range body.NumField() {
				if words := inWords(body.Field(i).Type); words == "of another kind" {
					t.Errorf("%s.%s has no words", body, body.Field(i).Name)
				}
			}
		}
	}
}
