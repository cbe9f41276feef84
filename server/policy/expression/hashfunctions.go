package expression

import (
	"crypto/md5"  //nolint:gosec // ngrok has it; the page of the functions says what it is not good for
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/cespare/xxhash/v2"
)

// hashFunctions are hash.md5(text) and text.md5() and so on, each with a format that may
// be given: "hex" or "base64".
func hashFunctions() []function {
	var all []function
	for _, h := range []struct {
		name string
		sum  func(string) []byte
	}{
		{"md5", summing(md5.New)}, {"sha1", summing(sha1.New)}, {"sha256", summing(sha256.New)}, {"sha512", summing(sha512.New)},
		{"crc32", func(s string) []byte { return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))) }},
		{"crc64", func(s string) []byte {
			return binary.BigEndian.AppendUint64(nil, crc64.Checksum([]byte(s), crc64.MakeTable(crc64.ISO)))
		}},
		{"xxhash64", func(s string) []byte { return binary.BigEndian.AppendUint64(nil, xxhash.Sum64String(s)) }},
	} {
		run := hashing(h.sum)
		all = append(all,
			function{"hash." + h.name, []form{call(kind.text, run, kind.text), call(kind.text, run, kind.text, kind.text)}},
			function{h.name, []form{method(kind.text, run, kind.text), method(kind.text, run, kind.text, kind.text)}},
		)
	}
	return all
}

func summing(start func() hash.Hash) func(string) []byte {
	return func(s string) []byte {
		h := start()
		h.Write([]byte(s))
		return h.Sum(nil)
	}
}

func hashing(sum func(string) []byte) func(...ref.Val) ref.Val {
	return func(args ...ref.Val) ref.Val {
		s, err := textsOf(args...)
		if err != nil {
			return types.WrapErr(err)
		}
		switch {
		case len(s) == 1 || s[1] == "hex":
			return types.String(hex.EncodeToString(sum(s[0])))
		case s[1] == "base64":
			return types.String(base64.StdEncoding.EncodeToString(sum(s[0])))
		}
		return types.WrapErr(unfit(`the format of a hash is "hex" or "base64"`))
	}
}

// hexadecimal writes the bytes of a text or of bytes.
func hexadecimal(value ref.Val) string {
	switch v := value.(type) {
	case types.String:
		return hex.EncodeToString([]byte(v))
	case types.Bytes:
		return hex.EncodeToString(v)
	}
	return ""
}
