package http1

// Field is a header name that means something to a relay, or that users of this
// package ask for often; Other is every other name.
type Field uint8

// The fields. Those from Connection to HTTP2Settings belong to one connection (RFC
// 9110 §7.6.1, and what older software treats so) and are never passed on as they came.
const (
	Other Field = iota
	Connection
	ProxyConnection
	KeepAlive
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	TransferEncoding
	Upgrade
	HTTP2Settings
	Host // from here on they go from end to end
	ContentLength
	Expect
	Authorization
	WWWAuthenticate
	Date
	Accept
	UserAgent
	ForwardedFor
	ForwardedProto
	ForwardedHost
	ForwardedPort
	SetCookie
)

// HopByHop tells whether the field belongs to one connection.
func (f Field) HopByHop() bool { return f != Other && f <= HTTP2Settings }

func (f Field) canTrail() bool { return !f.HopByHop() && f != Host && f != ContentLength }

// fieldOf recognises a name, whatever its case.
func fieldOf(name []byte) Field {
	switch len(name) {
	case 2:
		return when(name, "te", TE)
	case 4:
		return either(when(name, "host", Host), when(name, "date", Date))
	case 6:
		return either(when(name, "accept", Accept), when(name, "expect", Expect))
	case 7:
		return either(when(name, "trailer", Trailer), when(name, "upgrade", Upgrade))
	case 10:
		return either(when(name, "connection", Connection),
			either(when(name, "user-agent", UserAgent),
				either(when(name, "keep-alive", KeepAlive), when(name, "set-cookie", SetCookie))))
	case 13:
		return when(name, "authorization", Authorization)
	case 14:
		return either(when(name, "content-length", ContentLength), when(name, "http2-settings", HTTP2Settings))
	case 15:
		return when(name, "x-forwarded-for", ForwardedFor)
	case 16:
		return either(when(name, "proxy-connection", ProxyConnection),
			either(when(name, "x-forwarded-host", ForwardedHost),
				either(when(name, "x-forwarded-port", ForwardedPort), when(name, "www-authenticate", WWWAuthenticate))))
	case 17:
		return either(when(name, "transfer-encoding", TransferEncoding), when(name, "x-forwarded-proto", ForwardedProto))
	case 18:
		return when(name, "proxy-authenticate", ProxyAuthenticate)
	case 19:
		return when(name, "proxy-authorization", ProxyAuthorization)
	}
	return Other
}

func when(name []byte, lower string, field Field) Field {
	if equalFold(name, lower) {
		return field
	}
	return Other
}

func either(a, b Field) Field {
	if a != Other {
		return a
	}
	return b
}

// equalFold compares with lower, which is in lower case and ASCII.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// class tells of each byte where it may stand.
type class uint8

const (
	inToken  class = 1 << iota // RFC 9110 §5.6.2
	inValue                    // visible, blank, or beyond ASCII
	inTarget                   // visible or beyond ASCII, but "#"
	isHex
)

var classes = classify()

func classify() (table [256]class) {
	for c := range table {
		digit := '0' <= c && c <= '9'
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if digit || letter || c < 0x80 && indexByte("!#$%&'*+-.^_`|~", byte(c)) {
			table[c] |= inToken
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			table[c] |= inValue
		}
		if c > ' ' && c != 0x7f && c != '#' {
			table[c] |= inTarget
		}
		if digit || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' {
			table[c] |= isHex
		}
	}
	return table
}

func indexByte(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

// all tells whether every byte of b is of the class.
func all(b []byte, want class) bool {
	for _, c := range b {
		if classes[c]&want == 0 {
			return false
		}
	}
	return true
}

// trim takes blanks (SP and HTAB) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
