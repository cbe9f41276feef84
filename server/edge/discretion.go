package edge

import (
	"errors"

	"github.com/postern-dev/postern"
)

// discreet is a failure of a policy as visitors may hear of it. What a policy says, and
// whom it asks, is its owner's business: visitors get the code, the log has the words.
func discreet(failure *postern.Error) *postern.Error {
	switch failure.Code {
	case postern.CodePolicyFailed, postern.CodeOutcallInvalid, postern.CodeOutcallRefused, postern.CodeOutcallFailed, postern.CodeOutcallsBusy:
		return (&postern.Error{Code: failure.Code}).Because(failure)
	}
	return failure
}

// discreetly is discreet for any error.
func discreetly(err error) error {
	if coded, ok := errors.AsType[*postern.Error](err); ok {
		return discreet(coded)
	}
	return err
}
