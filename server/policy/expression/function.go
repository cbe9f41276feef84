package expression

import (
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// function is one that expressions may call, in each of its forms.
type function struct {
	name  string // with a dot: a function of a namespace
	forms []form
}

// form is a way to call a function: with these types, as value.name(…) if it is a method.
type form struct {
	method bool
	args   []*types.Type
	result *types.Type
	run    any // func(ref.Val) ref.Val, or of two, or of a list of them
}

func call(result *types.Type, run any, args ...*types.Type) form {
	return form{args: args, result: result, run: run}
}

func method(result *types.Type, run any, args ...*types.Type) form {
	return form{method: true, args: args, result: result, run: run}
}

// functions lists what there is beside CEL's own operators, functions and macros. Those
// whose name begins with @ are what resolver makes of others.
func functions() []function {
	var all []function
	for _, some := range [][]function{
		textFunctions(), formatFunctions(), listFunctions(), hashFunctions(), codingFunctions(), webFunctions(),
		addressFunctions(), scopeFunctions(), patternFunctions(),
	} {
		all = append(all, some...)
	}
	return all
}

// option declares the function to CEL.
func (f function) option() cel.EnvOption {
	overloads := make([]cel.FunctionOpt, len(f.forms))
	for i, form := range f.forms {
		overloads[i] = form.overload(f.name)
	}
	if len(f.forms) == 1 {
		// All functions look at the types of what they are given. CEL would look into
		// lists and maps as well, and have them made whole for it.
		overloads = append(overloads, decls.DisableTypeGuards(true))
	}
	return cel.Function(f.name, overloads...)
}

func (f form) overload(name string) cel.FunctionOpt {
	id := strings.NewReplacer(".", "_", "@", "at_").Replace(name)
	if f.method {
		id = "method_" + id
	}
	for _, arg := range f.args {
		id += "_" + strings.NewReplacer("(", "_", ")", "", ", ", "_").Replace(arg.String())
	}
	var binding cel.OverloadOpt
	switch run := f.run.(type) {
	case func(ref.Val) ref.Val:
		binding = cel.UnaryBinding(run)
	case func(ref.Val, ref.Val) ref.Val:
		binding = cel.BinaryBinding(run)
	case func(...ref.Val) ref.Val:
		binding = cel.FunctionBinding(run)
	}
	if f.method {
		return cel.MemberOverload(id, f.args, f.result, binding)
	}
	return cel.Overload(id, f.args, f.result, binding)
}

// ofText makes a function of a text from one of Go.
func ofText(run func(string) (any, error)) func(ref.Val) ref.Val {
	return func(value ref.Val) ref.Val {
		text, fault := textOf(value)
		if fault != nil {
			return types.WrapErr(fault)
		}
		return give(run(text))
	}
}

// textOf is the text that a function was given.
func textOf(value ref.Val) (string, error) {
	text, ok := value.(types.String)
	if !ok {
		return "", unfit("the function takes a text here")
	}
	if len(text) > mostString {
		return "", exceeded("a function was given a text of more than %d KiB", mostString>>10)
	}
	return string(text), nil
}

// textsOf are the texts that a function was given.
func textsOf(values ...ref.Val) ([]string, error) {
	all := make([]string, len(values))
	for i, value := range values {
		var err error
		if all[i], err = textOf(value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// give makes a value of CEL of what a function has worked out.
func give(value any, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	switch v := value.(type) {
	case string:
		if len(v) > mostString {
			return types.WrapErr(exceeded("a function made a text of more than %d KiB", mostString>>10))
		}
		return types.String(v)
	case bool:
		return types.Bool(v)
	}
	return values.NativeToValue(value)
}

// values turns what functions give into values.
var values = adapter{types.DefaultTypeAdapter}

// ownFunctions are functions by their names.
var ownFunctions = sync.OnceValue(func() map[string]function {
	all := map[string]function{}
	for _, f := range functions() {
		all[f.name] = f
	}
	return all
})
