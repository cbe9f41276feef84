package policy

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"strings"

	"github.com/postern-dev/postern"
)

// mostSent bounds the bodies in which fields are looked for, in bytes.
const mostSent = 64 << 10

// sentFields are the fields of a request's body, which is read once somebody asks, and
// goes on as it came.
type sentFields struct {
	e      *Evaluation
	read   bool
	fields map[string][]string // by their names in lower case
}

// values gives the values of a field, whose name may be in any case.
func (s *sentFields) values(name string) ([]string, error) {
	if !s.read {
		s.read = true
		s.e.doubt(s.e.singleDoubt("Content-Type"))
		kind, _, _ := mime.ParseMediaType(s.e.request.Get("Content-Type"))
		if kind != "application/json" && kind != "application/x-www-form-urlencoded" || s.e.request.Get("Content-Encoding") != "" {
			return nil, nil
		}
		text, err := s.take()
		if err != nil {
			return nil, err
		}
		s.fields = fieldsOf(kind, text)
	}
	return s.fields[strings.ToLower(name)], nil
}

// take reads the body, and puts what was read in front of the rest. One that is too long
// has no fields.
func (s *sentFields) take() ([]byte, error) {
	r, length := s.e.request, s.e.request.Length()
	body := r.Body()
	text, err := io.ReadAll(io.LimitReader(body, mostSent+1))
	if err != nil {
		return nil, postern.Errorf(postern.CodePolicyFailed, "the request's body breaks off").Because(err)
	}
	r.SetBody(io.MultiReader(bytes.NewReader(text), body), length)
	if len(text) > mostSent {
		return nil, nil
	}
	return text, nil
}

// fieldsOf reads a form, or the texts of a JSON object.
func fieldsOf(kind string, text []byte) map[string][]string {
	all := map[string][]string{}
	if kind == "application/json" {
		decoder := json.NewDecoder(bytes.NewReader(text))
		if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
			return nil
		}
		for decoder.More() { // not Unmarshal, which hides that a name is there twice
			name, err := decoder.Token()
			if err != nil {
				return nil
			}
			var value any
			if decoder.Decode(&value) != nil {
				return nil
			}
			key := strings.ToLower(name.(string)) // keys are texts
			sent, _ := value.(string)
			all[key] = append(all[key], sent)
		}
		return all
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil
	}
	for name, sent := range values {
		key := strings.ToLower(name)
		all[key] = append(all[key], sent...)
	}
	return all
}
