package expression

import (
	"sync"

	"cel.dev/cel-go/cel"
)

// retryNames are what a condition for asking again may name besides.
var retryNames = []string{"attempts", "last_attempt"}

// CompileRetry is Compile for what decides whether a request is made again: it may also
// name attempts, how many there were, and last_attempt, of which Scope has the values.
func CompileRetry(p Phase, text string) (*Expression, *Problem) {
	return compileTruth(p, text, true)
}

// retryEnvironments are those of the phases with the names of retryNames.
var retryEnvironments = sync.OnceValues(func() ([phases]*cel.Env, error) {
	all, err := environments()
	if err != nil {
		return all, err
	}
	for p := range all {
		if all[p], err = all[p].Extend(cel.Variable("attempts", kind.number), cel.Variable("last_attempt", mapTo(kind.anything))); err != nil {
			return all, err
		}
	}
	return all, nil
})

func environmentOf(p Phase, retry bool) (*cel.Env, error) {
	find := environments
	if retry {
		find = retryEnvironments
	}
	all, err := find()
	if err != nil || p >= phases {
		return nil, err
	}
	return all[p], nil
}
