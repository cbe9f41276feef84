package expression

import (
	"context"
	"math/rand/v2"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// scopeFunctions depend on more than their arguments. resolver gives the secret its
// Scope, and the others the map that they look into.
func scopeFunctions() []function {
	t := types.NewTypeParamType("T")
	return []function{
		{"@secret", []form{call(kind.text, secret, kind.scope, kind.text, kind.text)}},
		{"@values", []form{call(kind.texts, valuesIn, kind.valuesMap, kind.text)}},
		{"@first", []form{call(t, firstIn, mapTo(listOf(t)), kind.text)}},
		{"rand.double", []form{call(kind.double, func(...ref.Val) ref.Val { return types.Double(rand.Float64()) })}},
		{"rand.int", []form{call(kind.number, randomInt), call(kind.number, randomInt, kind.number, kind.number)}},
	}
}

func secret(args ...ref.Val) ref.Val {
	s, err := textsOf(args[1:]...)
	if err != nil {
		return types.WrapErr(err)
	}
	scope, ok := args[0].(scopeValue)
	if !ok || scope.Secret == nil {
		return types.WrapErr(&Failure{Reason: Withheld, Message: "there are no secrets here"})
	}
	ctx := scope.Context
	if ctx == nil {
		ctx = context.Background()
	}
	began := time.Now()
	value, err := scope.Secret(ctx, s[0], s[1])
	scope.waited += time.Since(began)
	if err != nil {
		return types.WrapErr(&Failure{Reason: Withheld, Message: "the secret cannot be read", cause: err})
	}
	return types.String(value)
}

// valuesIn is the list of a name, which is empty where the map has none.
func valuesIn(container, name ref.Val) ref.Val {
	if entries, ok := container.(traits.Mapper); ok {
		if list, found := entries.Find(name); found {
			return list
		}
	}
	return types.NewStringList(values, nil)
}

func firstIn(container, name ref.Val) ref.Val {
	if entries, ok := container.(traits.Mapper); ok {
		if found, ok := entries.Find(name); ok {
			if list, ok := found.(traits.Lister); ok && list.Size() != types.Int(0) {
				return list.Get(types.Int(0))
			}
		}
	}
	return types.WrapErr(absent("there is no such cookie"))
}

// randomInt gives min or max or a number between; without them 0 or 1.
func randomInt(args ...ref.Val) ref.Val {
	low, high := types.Int(0), types.Int(1)
	if len(args) == 2 {
		var ok [2]bool
		low, ok[0] = args[0].(types.Int)
		high, ok[1] = args[1].(types.Int)
		if !ok[0] || !ok[1] || low < 0 || high < low {
			return types.WrapErr(unfit("rand.int takes the smallest and the largest number that it may give, neither below 0"))
		}
	}
	return types.Int(uint64(low) + rand.Uint64N(uint64(high-low)+1)) //nolint:gosec // both are within int64
}
