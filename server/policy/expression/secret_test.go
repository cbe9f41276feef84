package expression_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

// No error has a secret in it, whatever is done with one.
func TestSecretsStayOutOfErrors(t *testing.T) {
	const secret = `secrets.get("v", "key")`
	for _, text := range []string{
		`int(SECRET) == 1`, `timestamp(SECRET) == timestamp(time.now)`, `duration(SECRET) == duration("1s")`, `bool(SECRET)`, `double(SECRET) == 1.0`, `uint(SECRET) == 1u`,
		`vars[SECRET] == 1`, `req.headers[SECRET][0] == ""`, `[1][int(size(SECRET))] == 1`, `{SECRET: 1}["x"] == 1`, `dyn(SECRET)`, `dyn(SECRET) + 1 == 1`, `!dyn(SECRET)`, `dyn(SECRET) ? true : false`,
		`json.decode(SECRET) == 1`, `SECRET.decodeBase64() == ""`, `base64.decode(SECRET) == b""`, `url.unescape("%" + SECRET) == ""`, `url.parse("%" + SECRET) == {}`, `queryString.decode("%" + SECRET) == {}`,
		`"a".matches("(" + SECRET)`, `"%d".format([SECRET]) == ""`, `"%s%s".format([SECRET]) == ""`, `("%" + SECRET).format([1]) == ""`, `SECRET.charAt(99) == ""`, `SECRET.substring(99) == ""`, `[SECRET, 1].sort() == []`,
		`hash.md5("a", SECRET) == ""`, `SECRET.md5(SECRET) == ""`, `SECRET.indexOf("a", 99) == 1`, `[dyn(SECRET), 1].join() == ""`, `dyn({SECRET: conn}).encodeJson() == ""`, `json.encode({SECRET: conn}) == ""`, `timestamp(time.now).getHours(SECRET) == 1`,
		`secrets.get(SECRET, SECRET) == ""`, `getReqCookie(SECRET).value == ""`, `[SECRET].all(x, dyn(x) == 1 || dyn(x))`, `dyn(SECRET).foo == 1`, `lists.range(size(SECRET) - 100) == []`, `SECRET < dyn(1)`, `type(dyn(SECRET)) == dyn(1) || dyn(SECRET)`,
	} {
		x, problem := expression.Compile(expression.Request, strings.ReplaceAll(text, "SECRET", secret))
		if problem != nil {
			t.Errorf("%s: %s", text, problem)
			continue
		}
		_, err := x.True(scope())
		if err == nil {
			t.Errorf("%s does not fail", text)
			continue
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if written := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(written, "hunter2") {
				t.Errorf("%s: %s", text, written)
			}
		}
	}
}

// What Scope.Secret says can be told by the caller.
func TestSecretErrorsAreHandedOn(t *testing.T) {
	gone := errors.New("gone")
	s := scope()
	s.Secret = func(context.Context, string, string) (string, error) { return "", gone }
	x := mustCompile(expression.Connect, `secrets.get("a", "b") == ""`)
	_, err := x.True(s)
	var failure *expression.Failure
	if !errors.As(err, &failure) || failure.Reason != expression.Withheld || !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Context = ctx
	if _, err = x.True(s); !errors.As(err, &failure) || failure.Reason != expression.Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	s.Secret = nil
	if _, err = x.True(s); !errors.As(err, &failure) {
		t.Errorf("%v", err)
	}
}
