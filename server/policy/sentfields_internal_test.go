package policy

import (
	"encoding/json"
	"testing"
)

// A field of JSON is found exactly if it is there once, as a text that every reader finds.
func FuzzFieldsOf(f *testing.F) {
	f.Add(`{"token": "a", "n": 1, "list": ["token"]}`)
	f.Add(`{"token": "a", "Token": "b"}`)
	f.Add(`{"token": "a", "token": null`)
	f.Add(`token=a&b=c%20d`)
	f.Fuzz(func(t *testing.T, text string) {
		fieldsOf("application/x-www-form-urlencoded", []byte(text))
		sent := fieldsOf("application/json", []byte(text))["token"]
		var plain map[string]any
		if json.Unmarshal([]byte(text), &plain) != nil || len(sent) != 1 || sent[0] == "" {
			return
		}
		for name, value := range plain {
			if value == sent[0] && len(name) == len("token") {
				return
			}
		}
		t.Errorf("%q is found in %s, and no other reader finds it", sent[0], text)
	})
}
