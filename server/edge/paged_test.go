package edge_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// A follower has the edge's page sent with a header of its own, and the failure is the
// exchange's. It sees what the visitor sent to the server alone, and what was edited
// before.
func TestFollowersAnswerWithAPage(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		outer := &rule{name: "outer", needs: edge.NeedHead, request: func(x *edge.Exchange) (*edge.Answer, error) {
			x.Request().Remove("Authorization")
			return nil, nil
		}}
		inner := &rule{name: "inner", needs: edge.NeedHead, request: func(x *edge.Exchange) (*edge.Answer, error) {
			q := x.Request()
			told.tell("sent %q %q %q", q.Sent("postern-authorization"), q.Sent("Authorization"), q.Sent("Upgrade"))
			return &edge.Answer{
				Failure: postern.Errorf(postern.CodePasswordRequired, "A password is needed"),
				Header:  http.Header{"Www-Authenticate": {"Basic"}, "Vary": {"Origin"}, "Cache-Control": {"private"}},
			}, nil
		}}
		s := start(t, path, subscribed(told, outer, inner))
		s.serve("http://app."+domain, "127.0.0.1:1")
		conn := s.dial(s.http)
		r, text := ask(t, conn, bufio.NewReader(conn), "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nAccept: application/json\r\nConnection: Postern-Authorization\r\n"+
			"POSTERN-AUTHORIZATION: a\r\npostern-Authorization: b\r\nAuthorization: c\r\nUpgrade: d\r\n\r\n")
		var page struct {
			Text string `json:"msg"`
			Code string `json:"error_code"`
		}
		must(t, json.Unmarshal([]byte(text), &page))
		if got := fmt.Sprint(r.StatusCode, r.Header["Www-Authenticate"], r.Header["Vary"], r.Header["Cache-Control"], r.Header["Postern-Error-Code"], page); got !=
			"401 [Basic] [Accept Origin] [private] [ERR_POSTERN_320] {A password is needed ERR_POSTERN_320}" {
			t.Errorf("answer %s", got)
		}
		told.over(t, 2)
		for _, line := range []string{`sent ["a" "b"] ["c"] ["d"]`, "outer: response 401", "inner: end 401 in 0 out " + fmt.Sprint(len(text)) + " ERR_POSTERN_320"} {
			if !strings.Contains(told.String(), line) {
				t.Errorf("followers were told\n%s\nwithout %s", told, line)
			}
		}
	})
}
