package sqlstore

import (
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// filter adds what f selects.
func (c *conditions) filter(f store.Filter) error {
	if f == nil {
		return nil
	}
	part, err := c.condition(f)
	if err == nil {
		c.and(part)
	}
	return err
}

func (c *conditions) condition(f store.Filter) (string, error) {
	switch f := f.(type) {
	case store.And:
		parts := make([]string, 0, len(f))
		for _, one := range f {
			part, err := c.condition(one)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return "(" + strings.Join(parts, " AND ") + ")", nil
	case store.Compare:
		if f.Op == store.Equals && f.Value != nil && c.kindOf(f.Field) != opaque {
			return f.Field + " = " + c.arg(f.Value), nil
		}
	}
	return "", postern.Errorf(postern.CodeInternal, "a filter of the type %T cannot be asked of the store", f)
}
