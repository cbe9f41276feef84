package policy

import "net/http"

// closeConnection ends the connection without an answer.
func closeConnection() kind {
	return kind{
		name: "close-connection", phases: in(inTCP, inRequest), ends: always,
		build: func(*config) action { return closing{} },
	}
}

type closing struct{}

func (closing) run(*Evaluation) (Verdict, error) { return Verdict{Decision: Close}, nil }

// deny answers with a status and nothing else; a connection it ends.
func deny() kind {
	return kind{
		name: "deny", phases: in(inTCP, inRequest), ends: always,
		build: func(c *config) action {
			return denial{int(c.integer("status_code", http.StatusForbidden, 400, 599))}
		},
	}
}

type denial struct{ status int }

func (d denial) run(e *Evaluation) (Verdict, error) {
	if e.request == nil {
		return Verdict{Decision: Close}, nil
	}
	return Verdict{Decision: Respond, Answer: &Answer{Status: d.status}}, nil
}
