package policy

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/expression"
)

const (
	// mostAttempts is how often a request of a policy's is made: once, and three times again.
	mostAttempts = 4
	// firstPause stands before the second attempt; each further one waits twice as long.
	firstPause = 50 * time.Millisecond
)

// open and end stand around an expression in a text.
const open, end = "${", "}"

// retryCondition reads an expression that says whether to ask again; nil for never. As
// other fields it may stand in ${…}.
func (c *config) retryCondition(name string) *expression.Expression {
	c.known = append(c.known, name)
	n := c.node.get(name)
	if n.none() {
		return nil
	}
	if n.kind != isText && n.kind != isBool {
		c.fault(name, "it must be an expression, it is %s", n.kind)
		return nil
	}
	text := strings.TrimSpace(n.text)
	if inner, whole := strings.CutPrefix(text, open); whole && strings.HasSuffix(inner, end) {
		text = strings.TrimSuffix(inner, end)
	}
	made, problem := expression.CompileRetry(c.phase, text)
	if problem != nil {
		c.compiler.reportExpression(n, c.place(name), problem)
		return nil
	}
	c.compiler.reads(n, c.place(name), made.Reads())
	return made
}

// attempts makes a call until it needs no other one, within its time, and tells of each
// try in result: unanswered is why the last one has no answer. An error is the policy's.
func (a *calling) attempts(e *Evaluation, call outcall.Call, result map[string]any) (unanswered, err error) {
	ctx, cancel := context.WithTimeout(e.subject.Context, a.timeout)
	defer cancel()
	made := []any{}
	for pause := firstPause; ; pause *= 2 {
		began := time.Now()
		answer, unanswered := e.call(ctx, call)
		tried := attempted(answer, unanswered, time.Since(began))
		made = append(made, tried)
		result["attempts"] = made
		if unanswered == nil {
			result["res"] = answered(answer, tried)
		} else {
			delete(result, "res")
		}
		if a.retry == nil || len(made) == mostAttempts {
			return unanswered, nil
		}
		again, err := a.again(e, len(made), result, unanswered)
		if err != nil || !again || !rest(ctx, pause) {
			return unanswered, err
		}
	}
}

// again asks the policy whether another attempt is to be made.
func (a *calling) again(e *Evaluation, made int, result map[string]any, unanswered error) (bool, error) {
	last := map[string]any{"req": result["req"]}
	if unanswered != nil {
		last["error"] = postern.AsError(unanswered).Text()
	} else {
		last["res"] = result["res"]
	}
	scope := e.scope
	scope.Attempts, scope.LastAttempt = int64(made), last
	again, failure := a.retry.True(&scope)
	switch {
	case failure != nil && !expression.IsAbsent(failure):
		return false, postern.Errorf(postern.CodePolicyFailed, "the retry_condition of an http-request cannot be worked out: %v", failure)
	case failure != nil:
		return false, nil
	}
	return again, nil
}

// rest waits; false: there is no time left.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempted is one of actions.ngrok.http_request.attempts.
func attempted(answer *outcall.Answer, err error, took time.Duration) map[string]any {
	if err != nil {
		return map[string]any{"error": fault(postern.AsError(err))}
	}
	address := ""
	if answer.Addr.IsValid() {
		address = answer.Addr.String()
	}
	return map[string]any{
		"response_status_code": int64(answer.Status), "response_header": lowered(answer.Header),
		"response_time_ms": strconv.FormatInt(took.Milliseconds(), 10), "resolved_ip": address,
	}
}

// answered is actions.ngrok.http_request.res.
func answered(answer *outcall.Answer, tried map[string]any) map[string]any {
	return map[string]any{
		"status_code": tried["response_status_code"], "header": tried["response_header"], "body": string(answer.Body),
		"time_ms": tried["response_time_ms"], "resolved_ip": tried["resolved_ip"],
	}
}
