package expression

import (
	"net/url"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// webFunctions are those of URLs and query strings.
func webFunctions() []function {
	escape := func(s string) (any, error) { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil }
	one := func(name, alias string, result *types.Type, run func(string) (any, error)) []function {
		return []function{{name, []form{call(result, ofText(run), kind.text)}}, {alias, []form{method(result, ofText(run), kind.text)}}}
	}
	all := []function{
		{"queryString.encode", []form{call(kind.text, encodeQuery, mapTo(kind.anything))}},
		{"encodeQueryString", []form{method(kind.text, encodeQuery, mapTo(kind.anything))}},
		{"isQueryString", []form{method(kind.boolean, ofText(func(s string) (any, error) { return isQuery(s), nil }), kind.text)}},
		{"isURL", []form{method(kind.boolean, ofText(func(s string) (any, error) { return isURL(s), nil }), kind.text)}},
	}
	all = append(all, one("url.escape", "escapeUrl", kind.text, escape)...)
	all = append(all, one("url.unescape", "unescapeUrl", kind.text, unescape)...)
	all = append(all, one("url.parse", "parseUrl", kind.textMap, parseURL)...)
	return append(all, one("queryString.decode", "decodeQueryString", kind.textMap, decodeQuery)...)
}

// unescape leaves plus signs alone: they are spaces in forms only.
func unescape(s string) (any, error) {
	plain, err := url.PathUnescape(s)
	if err != nil {
		return nil, unfit("the text has a percent sign that is no escape")
	}
	return plain, nil
}

// parseURL gives the parts that the URL has.
func parseURL(s string) (any, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, unfit("the text is not a URL")
	}
	parts := map[string]string{
		"scheme": u.Scheme, "opaque": u.Opaque, "user": u.User.String(), "host": u.Host, "hostname": u.Hostname(), "port": u.Port(),
		"path": u.Path, "raw_path": u.RawPath, "query": u.RawQuery, "fragment": u.Fragment,
	}
	for name, part := range parts {
		if part == "" {
			delete(parts, name)
		}
	}
	return parts, nil
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != ""
}

// decodeQuery gives the first value of each name.
func decodeQuery(s string) (any, error) {
	all, err := url.ParseQuery(s)
	if err != nil {
		return nil, unfit("the text is not a query string")
	}
	first := make(map[string]string, len(all))
	for name, list := range all {
		first[name] = list[0]
	}
	return first, nil
}

// isQuery is strict: spaces and the like are escaped in a query string (RFC 3986).
func isQuery(s string) bool {
	_, err := url.ParseQuery(s)
	return err == nil && s != "" && strings.Contains(s, "=") && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
}

// encodeQuery writes a map whose values are texts, numbers, booleans or lists of those.
func encodeQuery(value ref.Val) ref.Val {
	entries, ok := value.(traits.Mapper)
	if !ok {
		return types.WrapErr(unfit("queryString.encode takes a map"))
	}
	byName, err := namesOf(entries)
	if err != nil {
		return types.WrapErr(err)
	}
	query := make(url.Values, len(byName))
	length := 0
	for _, entry := range byName {
		list := []ref.Val{entries.Get(entry.key)}
		if _, several := list[0].(traits.Lister); several {
			if list, err = elementsOf(list[0]); err != nil {
				return types.WrapErr(err)
			}
		}
		for _, element := range list {
			text, err := textual(element)
			if length += len(text); err == nil && length > mostString {
				err = exceeded("a function made a text of more than %d KiB", mostString>>10)
			}
			if err != nil {
				return types.WrapErr(err)
			}
			query.Add(entry.name, text)
		}
	}
	return give(query.Encode(), nil)
}
