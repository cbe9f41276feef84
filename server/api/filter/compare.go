package filter

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"

	"github.com/postern-dev/postern/server/store"
)

// compare compiles a comparison of an operand with a constant.
func (c *compiler) compare(e, operand ast.Expr, op store.Op, with ast.Expr) (store.Filter, error) {
	if err := c.pay(e, 1); err != nil {
		return nil, err
	}
	if sized, found := sizeOf(operand); found {
		return c.size(sized, op, with)
	}
	if operand.Kind() == ast.CallKind {
		return nil, c.unsupported(operand)
	}
	if !isPath(operand) {
		return nil, c.fault(operand, "only fields and their sizes can be compared; write conditions such as %s", example)
	}
	path, field, err := c.field(operand)
	if err != nil {
		return nil, err
	}
	value, err := c.value(with)
	if err != nil {
		return nil, err
	}
	if field.Type == List {
		return c.compareList(with, path, op, value)
	}
	if value == (null{}) {
		if op != store.Equals && op != store.Differs {
			return nil, c.fault(with, "null has no order; use == or !=")
		}
		return store.Compare{Field: path, Op: op}, nil
	}
	if err := c.fits(with, path, field.Type, value); err != nil {
		return nil, err
	}
	switch value := value.(type) {
	case bool:
		if op != store.Equals && op != store.Differs {
			return nil, c.fault(with, "true and false have no order; use == or !=")
		}
	case time.Time:
		return compareTime(path, op, value), nil
	case string:
		if op == store.Equals || op == store.Differs {
			return store.Compare{Field: path, Op: op, Value: field.meant(value)}, nil
		}
	}
	return store.Compare{Field: path, Op: op, Value: value}, nil
}

// meant is the value that a text stands for.
func (f Field) meant(value string) string {
	if meant, found := f.Means[value]; found {
		return meant
	}
	return value
}

// compareTime compares a time as it is shown, in whole seconds: the store may know it
// better. So each comparison is one with the beginning of a second.
func compareTime(path string, op store.Op, value time.Time) store.Filter {
	second := value.Truncate(time.Second)
	whole := second.Equal(value)
	before := func(at time.Time) store.Filter { return store.Compare{Field: path, Op: store.Less, Value: at} }
	from := func(at time.Time) store.Filter { return store.Compare{Field: path, Op: store.AtLeast, Value: at} }
	next := second.Add(time.Second)
	if !whole {
		second = next // no time that is shown lies between
	}
	switch op {
	case store.Less:
		return before(second)
	case store.AtMost:
		return before(next)
	case store.More:
		return from(next)
	case store.AtLeast:
		return from(second)
	}
	var equal store.Filter = store.Or{}
	if whole {
		equal = store.And{from(second), before(next)}
	}
	if op == store.Differs {
		return store.Not{Filter: equal}
	}
	return equal
}

// compareList compares a list with what stands for an empty one.
func (c *compiler) compareList(e ast.Expr, path string, op store.Op, value any) (store.Filter, error) {
	if (op == store.Equals || op == store.Differs) && (value == "" || value == null{}) {
		return length{field: path, op: op}, nil
	}
	return nil, c.fault(e, `obj.%[1]s is a list; ask obj.%[1]s == null, size(obj.%[1]s) > 1 or "text" in obj.%[1]s`, path)
}

// size compiles a comparison of a field's size.
func (c *compiler) size(sized ast.Expr, op store.Op, with ast.Expr) (store.Filter, error) {
	if !isPath(sized) {
		return nil, c.fault(sized, "only fields have a size here; write size(obj.description) > 0")
	}
	path, field, err := c.field(sized)
	if err != nil {
		return nil, err
	}
	value, err := c.value(with)
	if err != nil {
		return nil, err
	}
	count, isNumber := value.(int64)
	if !isNumber {
		return nil, c.fault(with, "sizes are compared with whole numbers, as in size(obj.%s) > 0", path)
	}
	switch field.Type {
	case Text:
		return store.Size{Field: path, Op: op, Size: count}, nil
	case List:
		return length{field: path, op: op, size: count}, nil
	}
	return nil, c.fault(sized, "obj.%s has no size; only texts and lists do", path)
}

// in compiles "field in [constants]" and "text in list".
func (c *compiler) in(e, what, list ast.Expr) (store.Filter, error) {
	if isPath(list) {
		return c.member(e, what, list)
	}
	if list.Kind() != ast.ListKind || !isPath(what) {
		return nil, c.fault(e, `behind "in" goes a list, as in obj.description in ["blue", "green"]`)
	}
	path, field, err := c.field(what)
	if err != nil {
		return nil, err
	}
	if field.Type == List {
		return nil, c.fault(what, `obj.%[1]s is a list; write "text" in obj.%[1]s`, path)
	}
	elements := list.AsList().Elements()
	if err := c.pay(e, max(1, len(elements))); err != nil {
		return nil, err
	}
	found := store.In{Field: path}
	var times store.Or
	for _, element := range elements {
		value, err := c.value(element)
		if err != nil {
			return nil, err
		}
		if err := c.fits(element, path, field.Type, value); err != nil {
			return nil, err
		}
		switch value := value.(type) {
		case time.Time:
			times = append(times, compareTime(path, store.Equals, value))
		case string:
			found.Values = append(found.Values, field.meant(value))
		default:
			found.Values = append(found.Values, value)
		}
	}
	if field.Type == Time {
		return times, nil
	}
	return found, nil
}

func (c *compiler) member(e, what, list ast.Expr) (store.Filter, error) {
	path, field, err := c.field(list)
	if err != nil {
		return nil, err
	}
	value, err := c.value(what)
	if err != nil {
		return nil, err
	}
	text, isText := value.(string)
	if field.Type != List || !isText {
		return nil, c.fault(e, `behind "in" goes a list, as in obj.description in ["blue", "green"]`)
	}
	return member{field: path, text: text}, c.pay(e, 1)
}

// search compiles the question for a text within a text.
func (c *compiler) search(e ast.Expr, op store.Op, call ast.CallExpr) (store.Filter, error) {
	if !call.IsMemberFunction() || len(call.Args()) != 1 || !isPath(call.Target()) {
		return nil, c.fault(e, `write obj.description.%s("text")`, op)
	}
	path, field, err := c.field(call.Target())
	if err != nil {
		return nil, err
	}
	value, err := c.value(call.Args()[0])
	if err != nil {
		return nil, err
	}
	text, isText := value.(string)
	switch {
	case field.Type != Text:
		return nil, c.fault(e, "obj.%s is not a text, so there is no %s() of it", path, op)
	case path == "id" || strings.HasSuffix(path, ".id") || strings.HasSuffix(path, "_id"):
		return nil, c.fault(e, "ids are random, so there is nothing to search in obj.%s; ask for the whole with ==", path)
	case !isText:
		return nil, c.fault(call.Args()[0], "%s() takes a text in quotes", op)
	}
	return store.Compare{Field: path, Op: op, Value: text}, c.pay(e, searchCost)
}
