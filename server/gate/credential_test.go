package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/gate"
)

func TestParseCredential(t *testing.T) {
	const bcrypted = "$2y$10$abcdefghijklmnopqrstuuJZ6Xq0y6ZJZz3Yk5Q9m0m5yq1o8b1aW"
	for text, c := range map[string]struct{ plain, old, hashed string }{
		"demo:secret00":                            {"", "", "neither"},
		"demo:secret":                              {"6 characters, at least 8", "warns", "neither"},
		"demo:":                                    {"0 characters", "0 characters", "neither"},
		":12345678":                                {"", "", "neither"},
		"demo":                                     {"no colon", "no colon", "no colon"},
		"demo:pass:word":                           {"", "", "neither"},
		"demo:日本語のパスワード":                           {"", "", "neither"},
		"demo:" + strings.Repeat("é", 128):         {"", "", "neither"},
		"demo:" + strings.Repeat("é", 129):         {"129 characters", "129 characters", "neither"},
		strings.Repeat("u", 129) + ":12345678":     {"129 bytes", "129 bytes", "129 bytes"},
		"demo:1234567\n":                           {"control", "control", "control"},
		"de\x00mo:12345678":                        {"control", "control", "control"},
		"demo:1234567\xff":                         {"UTF-8", "UTF-8", "UTF-8"},
		"demo:" + bcrypted:                         {"", "", ""},
		"demo:$2b$31" + bcrypted[6:]:               {"", "", "cost 31"},
		"demo:$argon2id$v=19$m=65536,t=3,p=4$xx$y": {"", "", "neither"},
	} {
		_, plain := gate.ParseCredential(postern.Secret(text))
		_, warning, old := gate.ParseOldCredential(postern.Secret(text))
		_, hashed := gate.ParseHashed(postern.Secret(text))
		for how, result := range map[string]struct {
			got  error
			want string
		}{"plain": {plain, c.plain}, "hashed": {hashed, c.hashed}, "old": {old, strings.TrimPrefix(c.old, "warns")}} {
			if (result.got == nil) != (result.want == "") || result.got != nil && (!strings.Contains(result.got.Error(), result.want) || !postern.HasCode(result.got, postern.CodeFieldInvalid)) {
				t.Errorf("%q, %s: %v, want %q", text, how, result.got, result.want)
			}
			if _, secret, _ := strings.Cut(text, ":"); result.got != nil && len(secret) > 3 && strings.Contains(result.got.Error(), secret) {
				t.Errorf("%q, %s: the error shows it: %v", text, how, result.got)
			}
		}
		if (warning != "") != (c.old == "warns") || strings.Contains(warning, "secret") {
			t.Errorf("%q: warning %q", text, warning)
		}
	}
	c, err := gate.ParseCredential("demo:secret:00")
	if err != nil || c.Username != "demo" || c.Password != "secret:00" || strings.Contains(fmt.Sprintf("%v %+v %#v", c, c, c), "secret:00") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConfigs(t *testing.T) {
	for name, c := range map[string]struct {
		config gate.Config
		ok     bool
	}{
		"zero":             {gate.Config{}, true},
		"realm":            {gate.Config{Realm: "日本"}, true},
		"realm, long":      {gate.Config{Realm: strings.Repeat("x", 129)}, false},
		"realm, two lines": {gate.Config{Realm: "a\r\nX: y"}, false},
		"grant":            {gate.Config{GrantAddress: 8 * time.Hour}, true},
		"grant, a second":  {gate.Config{GrantAddress: time.Second}, false},
		"grant, a week":    {gate.Config{GrantAddress: 7 * 24 * time.Hour}, false},
		"grant, negative":  {gate.Config{GrantAddress: -time.Hour}, false},
	} {
		if _, err := gate.New(c.config); (err == nil) != c.ok || err != nil && !postern.HasCode(err, postern.CodeFieldInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n, ok := range map[int]bool{0: false, 1: true, 10: true, 11: false} {
		if _, err := gate.NewCredentials(make([]gate.Credential, n)); (err == nil) != ok {
			t.Errorf("%d credentials: %v", n, err)
		}
	}
}
