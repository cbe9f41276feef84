package trial_test

import (
	"testing"

	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/trial"
)

// No text makes what reads a file of cases panic, and what it gives can be used.
func FuzzParse(f *testing.F) {
	f.Add([]byte("secrets: {v: {n: x}}\ngeo: {192.0.2.0/24: {location: {city: Rome}}, as_file: \"\"}\nip_policies: {a: {allow: [192.0.2.1]}}\nresponses: {\"https://a/\": [{status: 500}, {error: ERR_POSTERN_663}]}\ncases: [{request: {url: \"https://a/\"}}]"))
	f.Add([]byte("responses: {\"https://a/\": []}\ngeo: {x: 1}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := trial.Parse("cases", text)
		if err != nil {
			return
		}
		file.Geo.File, file.Geo.ASFile = "", ""
		world, err := file.World()
		if err != nil {
			return
		}
		for url := range file.Responses {
			if answer, err := world.Calls.Do(t.Context(), outcall.Call{URL: url}); (answer == nil) == (err == nil) {
				t.Errorf("%q: an answer %v and the error %v", url, answer, err)
			}
		}
		for address := range file.Secrets {
			for name, value := range file.Secrets[address] {
				if got, err := world.Secret(t.Context(), "", address, name); err != nil || got != value {
					t.Error(err)
				}
			}
		}
	})
}
