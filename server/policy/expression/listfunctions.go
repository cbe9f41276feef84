package expression

import (
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

const mostCompared = 300 // elements that distinct compares each with each

func listFunctions() []function {
	t := types.NewTypeParamType("T")
	list := listOf(t)
	return []function{
		{"slice", []form{method(list, slice, list, kind.number, kind.number)}},
		{"flatten", []form{method(listOf(kind.anything), flatten, listOf(kind.anything)), method(listOf(kind.anything), flatten, listOf(kind.anything), kind.number)}},
		{"sort", []form{method(list, sorted, list)}},
		{"@sortPairs", []form{call(listOf(kind.anything), sortPairs, listOf(listOf(kind.anything)))}},
		{"distinct", []form{method(list, distinct, list)}},
		{"lists.range", []form{call(listOf(kind.number), rangeOf, kind.number)}},
		{"@has", []form{call(kind.boolean, hasElement, kind.anything, kind.anything)}},
	}
}

// elementsOf are the elements of a list that a function was given.
func elementsOf(value ref.Val) ([]ref.Val, error) {
	list, ok := value.(traits.Lister)
	if !ok {
		return nil, unfit("the function takes a list here")
	}
	size, _ := list.Size().(types.Int)
	if size > mostList {
		return nil, exceeded("a function was given a list of more than %d elements", mostList)
	}
	all := make([]ref.Val, 0, size)
	for it := list.Iterator(); it.HasNext() == types.True; {
		all = append(all, it.Next())
	}
	return all, nil
}

func listOfValues(all []ref.Val, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	return types.NewRefValList(values, all)
}

func slice(args ...ref.Val) ref.Val {
	elements, err := elementsOf(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	at, err := positions(args[1:])
	if err != nil {
		return types.WrapErr(err)
	}
	if at[0] < 0 || at[0] > at[1] || at[1] > len(elements) {
		return types.WrapErr(unfit("slice has positions outside of the list"))
	}
	return types.NewRefValList(values, elements[at[0]:at[1]])
}

func flatten(args ...ref.Val) ref.Val {
	depth := 1
	if len(args) == 2 {
		n, ok := args[1].(types.Int)
		if !ok || n < 0 {
			return types.WrapErr(unfit("flatten takes a depth of 0 or more"))
		}
		depth = int(min(n, mostDepth))
	}
	return listOfValues(flat(nil, args[0], depth))
}

func flat(into []ref.Val, list ref.Val, depth int) ([]ref.Val, error) {
	elements, err := elementsOf(list)
	if err != nil {
		return nil, err
	}
	for _, element := range elements {
		if _, nested := element.(traits.Lister); nested && depth > 0 {
			into, err = flat(into, element, depth-1)
		} else {
			into = append(into, element)
		}
		if err == nil && len(into) > mostList {
			err = exceeded("flatten would make a list of more than %d elements", mostList)
		}
		if err != nil {
			return nil, err
		}
	}
	return into, nil
}

func sorted(list ref.Val) ref.Val {
	elements, err := elementsOf(list)
	if err != nil {
		return types.WrapErr(err)
	}
	return listOfValues(elements, sortBy(elements, func(element ref.Val) ref.Val { return element }))
}

// sortPairs sorts pairs of a key and an element, and gives the elements.
func sortPairs(list ref.Val) ref.Val {
	pairs, err := elementsOf(list)
	if err != nil {
		return types.WrapErr(err)
	}
	part := func(pair ref.Val, n types.Int) ref.Val { return pair.(traits.Indexer).Get(n) }
	if err := sortBy(pairs, func(pair ref.Val) ref.Val { return part(pair, 0) }); err != nil {
		return types.WrapErr(err)
	}
	for i, pair := range pairs {
		pairs[i] = part(pair, 1)
	}
	return types.NewRefValList(values, pairs)
}

// sortBy sorts by keys, which must be of one type and have an order.
func sortBy(elements []ref.Val, key func(ref.Val) ref.Val) error {
	for _, element := range elements {
		if _, ordered := key(element).(traits.Comparer); !ordered || key(element).Type() != key(elements[0]).Type() {
			return unfit("what is sorted must be of one type, and that must have an order")
		}
	}
	slices.SortStableFunc(elements, func(a, b ref.Val) int {
		order, _ := key(a).(traits.Comparer).Compare(key(b)).(types.Int)
		return int(order)
	})
	return nil
}

func distinct(list ref.Val) ref.Val {
	elements, err := elementsOf(list)
	if err != nil {
		return types.WrapErr(err)
	}
	seen := map[ref.Val]bool{}
	var kept, compared []ref.Val
	for _, element := range elements {
		switch element.(type) {
		case types.String, types.Int, types.Uint, types.Bool, types.Double:
			if seen[element] {
				continue
			}
			seen[element] = true
		default:
			if slices.ContainsFunc(compared, func(other ref.Val) bool { return other.Equal(element) == types.True }) {
				continue
			}
			if compared = append(compared, element); len(compared) > mostCompared {
				return types.WrapErr(exceeded("distinct compares at most %d elements that are no texts or numbers", mostCompared))
			}
		}
		kept = append(kept, element)
	}
	return types.NewRefValList(values, kept)
}

func rangeOf(n ref.Val) ref.Val {
	count, ok := n.(types.Int)
	if !ok || count < 0 || count > mostList {
		return types.WrapErr(unfit("lists.range takes a number from 0 to %d", mostList))
	}
	all := make([]ref.Val, count)
	for i := range all {
		all[i] = types.Int(i)
	}
	return types.NewRefValList(values, all)
}

// hasElement is has(container[key]).
func hasElement(container, key ref.Val) ref.Val {
	switch c := container.(type) {
	case traits.Mapper:
		_, found := c.Find(key)
		return types.Bool(found)
	case traits.Lister:
		size, _ := c.Size().(types.Int)
		at, ok := key.(types.Int)
		return types.Bool(ok && at >= 0 && at < size)
	}
	return types.WrapErr(unfit("has takes a field of an object, or an element of a map or a list"))
}
