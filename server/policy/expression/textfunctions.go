package expression

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// textFunctions are those of texts. Positions count characters from 0.
func textFunctions() []function {
	plain := func(name string, run func(string) string) function {
		return function{name, []form{method(kind.text, ofText(func(s string) (any, error) { return run(s), nil }), kind.text)}}
	}
	return []function{
		plain("lower", strings.ToLower), plain("upper", strings.ToUpper),
		plain("lowerAscii", lowerASCII), plain("upperAscii", upperASCII),
		plain("trim", strings.TrimSpace), plain("reverse", reverse),
		{"strings.quote", []form{call(kind.text, ofText(func(s string) (any, error) { return quote(s), nil }), kind.text)}},
		{"charAt", []form{method(kind.text, charAt, kind.text, kind.number)}},
		{"substring", []form{method(kind.text, substring, kind.text, kind.number), method(kind.text, substring, kind.text, kind.number, kind.number)}},
		{"indexOf", []form{method(kind.number, indexOf, kind.text, kind.text), method(kind.number, indexOf, kind.text, kind.text, kind.number)}},
		{"lastIndexOf", []form{method(kind.number, lastIndexOf, kind.text, kind.text), method(kind.number, lastIndexOf, kind.text, kind.text, kind.number)}},
		{"replace", []form{method(kind.text, replace, kind.text, kind.text, kind.text), method(kind.text, replace, kind.text, kind.text, kind.text, kind.number)}},
		{"split", []form{method(kind.texts, split, kind.text), method(kind.texts, split, kind.text, kind.text), method(kind.texts, split, kind.text, kind.text, kind.number)}},
		{"join", []form{method(kind.text, join, kind.texts), method(kind.text, join, kind.texts, kind.text)}},
	}
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func reverse(s string) string {
	characters := []rune(s)
	for i, j := 0, len(characters)-1; i < j; i, j = i+1, j-1 {
		characters[i], characters[j] = characters[j], characters[i]
	}
	return string(characters)
}

func quote(s string) string { return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD")) }

// positions reads the numbers behind the texts of a call.
func positions(args []ref.Val) ([]int, error) {
	all := make([]int, len(args))
	for i, arg := range args {
		n, ok := arg.(types.Int)
		if !ok {
			return nil, unfit("the function takes a whole number here")
		}
		all[i] = int(min(max(n, -1), mostString+1))
	}
	return all, nil
}

func outside() error { return unfit("the position is outside of the text") }

func charAt(text, at ref.Val) ref.Val {
	n, ok := at.(types.Int)
	if !ok {
		return types.WrapErr(unfit("charAt takes a whole number"))
	}
	s, err := textOf(text)
	characters := []rune(s)
	switch {
	case err != nil:
		return types.WrapErr(err)
	case n < 0 || int(n) > len(characters):
		return types.WrapErr(outside())
	case int(n) == len(characters):
		return types.String("")
	}
	return types.String(string(characters[n]))
}

func substring(args ...ref.Val) ref.Val {
	s, err := textOf(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	at, err := positions(args[1:])
	if err != nil {
		return types.WrapErr(err)
	}
	characters := []rune(s)
	from, to := at[0], len(characters)
	if len(at) == 2 {
		to = at[1]
	}
	if from < 0 || to > len(characters) || from > to {
		return types.WrapErr(outside())
	}
	return types.String(string(characters[from:to]))
}

// textsAndPositions reads so many texts, and positions behind them.
func textsAndPositions(args []ref.Val, texts int) (s []string, at []int, err error) {
	if s, err = textsOf(args[:texts]...); err == nil {
		at, err = positions(args[texts:])
	}
	return s, at, err
}

func indexOf(args ...ref.Val) ref.Val {
	s, at, err := textsAndPositions(args, 2)
	if err != nil {
		return types.WrapErr(err)
	}
	from := 0
	if len(at) == 1 {
		from = at[0]
	}
	skipped, ok := offset(s[0], from)
	if !ok {
		return types.WrapErr(outside())
	}
	found := strings.Index(s[0][skipped:], s[1])
	if found < 0 {
		return types.Int(-1)
	}
	return types.Int(from + utf8.RuneCountInString(s[0][skipped:skipped+found]))
}

func lastIndexOf(args ...ref.Val) ref.Val {
	s, at, err := textsAndPositions(args, 2)
	if err != nil {
		return types.WrapErr(err)
	}
	end := len(s[0])
	if len(at) == 1 {
		last, ok := offset(s[0], at[0])
		if !ok {
			return types.WrapErr(outside())
		}
		end = min(end, last+len(s[1]))
	}
	found := strings.LastIndex(s[0][:end], s[1])
	if found < 0 {
		return types.Int(-1)
	}
	return types.Int(utf8.RuneCountInString(s[0][:found]))
}

// offset is where the n-th character of s begins, or its end.
func offset(s string, n int) (int, bool) {
	if n < 0 {
		return 0, false
	}
	for at := range s {
		if n == 0 {
			return at, true
		}
		n--
	}
	return len(s), n == 0
}

// replace is bounded before it works: a short pattern with a long replacement multiplies.
func replace(args ...ref.Val) ref.Val {
	s, at, err := textsAndPositions(args, 3)
	if err != nil {
		return types.WrapErr(err)
	}
	n := -1
	if len(at) == 1 {
		n = at[0]
	}
	found := strings.Count(s[0], s[1])
	if n >= 0 {
		found = min(found, n)
	}
	if len(s[0])+found*(len(s[2])-len(s[1])) > mostString {
		return types.WrapErr(exceeded("replace would make a text of more than %d KiB", mostString>>10))
	}
	return types.String(strings.Replace(s[0], s[1], s[2], n))
}

func split(args ...ref.Val) ref.Val {
	s, err := textsOf(args[:min(len(args), 2)]...)
	if err != nil {
		return types.WrapErr(err)
	}
	if len(s) == 1 {
		return listOfTexts(strings.Fields(s[0]))
	}
	at, err := positions(args[2:])
	if err != nil {
		return types.WrapErr(err)
	}
	n := -1
	if len(at) == 1 {
		n = at[0]
	}
	return listOfTexts(strings.SplitN(s[0], s[1], n))
}

func listOfTexts(all []string) ref.Val {
	if len(all) > mostList {
		return types.WrapErr(exceeded("a function made a list of more than %d elements", mostList))
	}
	return types.NewStringList(values, all)
}

func join(args ...ref.Val) ref.Val {
	elements, err := elementsOf(args[0])
	if err != nil {
		return types.WrapErr(err)
	}
	all, err := textsOf(elements...)
	if err != nil {
		return types.WrapErr(err)
	}
	separator := ""
	if len(args) == 2 {
		if separator, err = textOf(args[1]); err != nil {
			return types.WrapErr(err)
		}
	}
	length := max(len(all)-1, 0) * len(separator)
	for _, s := range all {
		length += len(s)
	}
	if length > mostString {
		return types.WrapErr(exceeded("join would make a text of more than %d KiB", mostString>>10))
	}
	return types.String(strings.Join(all, separator))
}
