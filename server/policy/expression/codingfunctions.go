package expression

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// codingFunctions are those of Base64 and JSON.
func codingFunctions() []function {
	valid := func(s string) (any, error) { return json.Valid([]byte(s)), nil }
	return []function{
		{"base64.decode", []form{call(kind.octets, decodeBase64Bytes, kind.text)}},
		{"base64.encode", []form{call(kind.text, encodeBase64Bytes, kind.octets)}},
		{"decodeBase64", []form{method(kind.text, ofText(decodeBase64), kind.text)}},
		{"encodeBase64", []form{method(kind.text, ofText(encodeBase64), kind.text)}},
		{"basic_auth.encode", []form{call(kind.text, encodeBasic, kind.text, kind.text)}},
		{"json.decode", []form{call(kind.anything, ofText(decodeJSON), kind.text)}},
		{"decodeJson", []form{method(kind.anything, ofText(decodeJSON), kind.text)}},
		{"json.encode", []form{call(kind.text, encodeJSON, kind.anything)}},
		{"encodeJson", []form{method(kind.text, encodeJSON, listOf(kind.anything)), method(kind.text, encodeJSON, types.NewMapType(kind.anything, kind.anything))}},
		{"isJson", []form{method(kind.boolean, ofText(valid), kind.text)}},
	}
}

func encodeBase64(s string) (any, error) { return base64.StdEncoding.EncodeToString([]byte(s)), nil }

func encodeBase64Bytes(value ref.Val) ref.Val {
	b, ok := value.(types.Bytes)
	if !ok || len(b) > mostString {
		return types.WrapErr(unfit("base64.encode takes bytes, %d KiB at most", mostString>>10))
	}
	return give(base64.StdEncoding.EncodeToString(b), nil)
}

// decodeBase64 is for texts: what is no UTF-8 cannot become one.
func decodeBase64(s string) (any, error) {
	decoded, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(decoded) {
		return nil, unfit("the text is not Base64 of a text")
	}
	return string(decoded), nil
}

func decodeBase64Bytes(value ref.Val) ref.Val {
	s, err := textOf(value)
	if err != nil {
		return types.WrapErr(err)
	}
	decoded, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return types.WrapErr(unfit("the text is not Base64"))
	}
	return types.Bytes(decoded)
}

// encodeBasic is the value of an Authorization header (RFC 7617).
func encodeBasic(user, password ref.Val) ref.Val {
	s, err := textsOf(user, password)
	if err != nil {
		return types.WrapErr(err)
	}
	return give("Basic "+base64.StdEncoding.EncodeToString([]byte(s[0]+":"+s[1])), nil)
}

// decodeJSON gives whole numbers as CEL's int, so that they compare with what is written
// in expressions.
func decodeJSON(s string) (any, error) {
	return readJSON(s)
}

func encodeJSON(value ref.Val) ref.Val {
	written, err := writeJSON(value)
	return give(written, err)
}
