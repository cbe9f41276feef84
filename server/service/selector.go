package service

import (
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/parser"

	"github.com/postern-dev/postern"
)

const (
	maxSelectors      = 20
	maxSelector       = 1024 // bytes
	maxSelectorNested = 32
)

// checkSelectors sees that selectors are CEL. What they mean is not asked: who evaluates
// them may know less of CEL than who wrote them.
func checkSelectors(field string, selectors []string) error {
	if len(selectors) > maxSelectors {
		return postern.Errorf(postern.CodeValueInvalid, "the field %q has %d selectors, at most %d are allowed", field, len(selectors), maxSelectors)
	}
	cel, err := parser.NewParser(parser.EnablePrattParser(true), parser.MaxRecursionDepth(maxSelectorNested),
		parser.ErrorRecoveryLimit(1), parser.ErrorReportingLimit(1))
	if err != nil {
		return err
	}
	for _, text := range selectors {
		if err := checkText(field, text, maxSelector); err != nil {
			return err
		}
		if strings.TrimSpace(text) == "" {
			return postern.Errorf(postern.CodeValueInvalid, "the field %q has an empty selector; \"true\" selects every endpoint", field)
		}
		if _, faults := cel.Parse(common.NewTextSource(text)); len(faults.GetErrors()) > 0 {
			return postern.Errorf(postern.CodeValueInvalid, "the field %q has the selector %q, which is not CEL: %s", field, clip(text), clip(faults.GetErrors()[0].Message))
		}
	}
	return nil
}
