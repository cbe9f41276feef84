package expression

// Value is that of a template that is one expression and nothing else, in its own type;
// of others it is the text.
func (t *Template) Value(s *Scope) (any, error) {
	if len(t.parts) == 1 && t.parts[0].expression != nil {
		return t.parts[0].expression.Value(s)
	}
	return t.Text(s)
}
