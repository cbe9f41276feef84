package expression_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

// cases of a function: what is true of it, and what fails and why.
type cases struct {
	holds []string
	fails map[string]expression.Reason
}

const (
	hello256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	hello512 = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"
	base256  = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
	base512  = "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="
)

func hashCases(name, hex, base64 string) cases {
	return cases{[]string{
		`hash.` + name + `("hello") == "` + hex + `"`, `hash.` + name + `("hello", "hex") == "` + hex + `"`, `hash.` + name + `("hello", "base64") == "` + base64 + `"`,
		`"hello".` + name + `() == "` + hex + `"`, `"hello".` + name + `("hex") == "` + hex + `"`, `"hello".` + name + `("base64") == "` + base64 + `"`,
	}, map[string]expression.Reason{
		`hash.` + name + `("hello", "binary") == ""`: expression.Unfit, `hash.` + name + `(vars.n) == ""`: expression.Unfit, `vars.n.` + name + `() == ""`: expression.Unfit,
	}}
}

func textCases() map[string]cases {
	type fails = map[string]expression.Reason
	return map[string]cases{
		"charAt":        {[]string{`"héllo".charAt(1) == "é"`, `"hello".charAt(5) == ""`}, fails{`"hello".charAt(6) == ""`: expression.Unfit, `"hello".charAt(-1) == ""`: expression.Unfit, `vars.n.charAt(0) == ""`: expression.Unfit}},
		"substring":     {[]string{`"tacocat".substring(4) == "cat"`, `"tacocat".substring(0, 4) == "taco"`}, fails{`"tacocat".substring(-1) == ""`: expression.Unfit, `"tacocat".substring(2, 1) == ""`: expression.Unfit, `"a".substring(vars.team) == ""`: expression.Unfit}},
		"indexOf":       {[]string{`"hello mellow".indexOf("") == 0`, `"hello mellow".indexOf("ello") == 1`, `"hello mellow".indexOf("jello") == -1`, `"hello mellow".indexOf("", 2) == 2`, `"héllo mello".indexOf("ello", 2) == 7`}, fails{`"a".indexOf("a", 9) == 0`: expression.Unfit, `"a".indexOf(vars.n) == 0`: expression.Unfit}},
		"lastIndexOf":   {[]string{`"hello mellow".lastIndexOf("") == 12`, `"hello mellow".lastIndexOf("ello") == 7`, `"hello mellow".lastIndexOf("jello") == -1`, `"hello mellow".lastIndexOf("ello", 6) == 1`}, fails{`"hello mellow".lastIndexOf("ello", 20) == 1`: expression.Unfit, `"hello mellow".lastIndexOf("ello", -1) == 1`: expression.Unfit}},
		"replace":       {[]string{`"hello".replace("l", "L") == "heLLo"`, `"hello".replace("l", "L", 1) == "heLlo"`, `"hello".replace("x", "X") == "hello"`, `"ab".replace("", "-") == "-a-b-"`, `"ab".replace("a", "x", 0) == "ab"`}, fails{`vars.n.replace("a", "b") == ""`: expression.Unfit}},
		"split":         {[]string{`"hello mellow".split() == ["hello", "mellow"]`, `"a,b,c".split(",") == ["a", "b", "c"]`, `"a,b,c".split(",", 2) == ["a", "b,c"]`, `"a,b".split(",", 0) == []`}, fails{`vars.n.split() == []`: expression.Unfit}},
		"join":          {[]string{`["a", "b"].join() == "ab"`, `["a", "b"].join(" ") == "a b"`, `[].join("/") == ""`}, fails{`[vars.n].join() == ""`: expression.Unfit, `vars.n.join() == ""`: expression.Unfit}},
		"lower":         {[]string{`"ÄRGER".lower() == "ärger"`}, fails{`vars.n.lower() == ""`: expression.Unfit}},
		"upper":         {[]string{`"ärger".upper() == "ÄRGER"`}, fails{`vars.n.upper() == ""`: expression.Unfit}},
		"lowerAscii":    {[]string{`"TacoCÆt".lowerAscii() == "tacocÆt"`}, fails{`vars.n.lowerAscii() == ""`: expression.Unfit}},
		"upperAscii":    {[]string{`"tacoCæt".upperAscii() == "TACOCæT"`}, fails{`vars.n.upperAscii() == ""`: expression.Unfit}},
		"trim":          {[]string{`"  \ttrim\n ".trim() == "trim"`}, fails{`vars.n.trim() == ""`: expression.Unfit}},
		"reverse":       {[]string{`"gums é".reverse() == "é smug"`}, fails{`vars.n.reverse() == ""`: expression.Unfit}},
		"strings.quote": {[]string{`strings.quote("a\"b\n") == "\"a\\\"b\\n\""`}, fails{`strings.quote(vars.n) == ""`: expression.Unfit}},
		"format": {[]string{
			`"hello %s".format(["world"]) == "hello world"`, `"%d".format([42]) == "42"`, `"%f".format([3.14]) == "3.140000"`, `"%.2f".format([3.14159]) == "3.14"`, `"%x %X %o %b".format([26, 26, 8, 5]) == "1a 1A 10 101"`,
			`"%b".format([true]) == "1"`, `"100%%".format([]) == "100%"`, `"%s %s".format([[1, "a"], {"k": 1.5}]) == "[1,\"a\"] {\"k\":1.5}"`, `"%e".format([1.5]) == "1.500000e+00"`, `"%x".format(["hi"]) == "6869"`,
		}, fails{`"%s".format([]) == ""`: expression.Unfit, `"%q".format([1]) == ""`: expression.Unfit, `"%d".format(["x"]) == ""`: expression.Unfit, `"%f".format(["1"]) == ""`: expression.Unfit, `"%".format([1]) == ""`: expression.Unfit, `"%d".format([true]) == ""`: expression.Unfit}},
		"matches":    {[]string{`"foobar".matches("^foo.*")`, `matches("foobar", "bar$")`, `!"test".matches("fail")`, `"v3".matches("v" + string(vars.n))`}, fails{`vars.n.matches("a")`: expression.Unfit, `"a".matches("(" + vars.team)`: expression.Unfit}},
		"startsWith": {[]string{`"ngrok".startsWith("ng")`, `!"ngrok".startsWith("rok")`}, fails{`vars.n.startsWith("a")`: expression.Unfit}},
		"endsWith":   {[]string{`"ngrok".endsWith("rok")`, `!"ngrok".endsWith("ng")`}, fails{`vars.n.endsWith("a")`: expression.Unfit}},
		"contains":   {[]string{`"ngrok".contains("gro")`, `!"ngrok".contains("gru")`}, fails{`vars.n.contains("a")`: expression.Unfit}},
		"size":       {[]string{`size("héllo") == 5`, `"hello".size() == 5`, `size([1]) == 1`, `{"a": 1}.size() == 1`, `b"abc".size() == 3`}, fails{`size(vars.n) == 1`: expression.Unfit}},
	}
}

func listCases() map[string]cases {
	type fails = map[string]expression.Reason
	return map[string]cases{
		"slice":       {[]string{`[1, 2, 3, 4].slice(1, 3) == [2, 3]`}, fails{`[1].slice(0, 2) == []`: expression.Unfit, `[1].slice(-1, 1) == []`: expression.Unfit, `vars.n.slice(0, 1) == []`: expression.Unfit}},
		"flatten":     {[]string{`[1, [2, 3], [4]].flatten() == [1, 2, 3, 4]`, `[1, [2, [3, 4]]].flatten() == [1, 2, [3, 4]]`, `[1, [2, [3, [4]]]].flatten(2) == [1, 2, 3, [4]]`}, fails{`[1].flatten(-1) == []`: expression.Unfit}},
		"sort":        {[]string{`[3, 2, 1].sort() == [1, 2, 3]`, `["b", "a"].sort() == ["a", "b"]`, `[].sort() == []`}, fails{`[1, "b"].sort() == []`: expression.Unfit, `[[1]].sort() == []`: expression.Unfit}},
		"sortBy":      {[]string{`[{"n": 2, "s": "b"}, {"n": 1, "s": "a"}].sortBy(e, e.n).map(e, e.s) == ["a", "b"]`}, fails{`[1, 2].sortBy(e, [e]) == []`: expression.Unfit}},
		"distinct":    {[]string{`[1, "b", 2, "b", [1], [1]].distinct() == [1, "b", 2, [1]]`}, fails{`vars.n.distinct() == []`: expression.Unfit}},
		"lists.range": {[]string{`lists.range(3) == [0, 1, 2]`, `lists.range(0) == []`}, fails{`lists.range(-1) == []`: expression.Unfit, `lists.range(10001) == []`: expression.Unfit}},
		"all":         {[]string{`[1, 2].all(x, x > 0)`, `!{"one": 1, "two": 2}.all(k, k.startsWith("o"))`}, fails{`[1].all(x, vars.team == x && x / 0 == 1 || vars.none)`: expression.Absent}},
		"exists":      {[]string{`[1, -2].exists(x, x < 0)`, `{"one": 1}.exists(k, k == "one")`}, nil},
		"exists_one":  {[]string{`[1, 2, 3].exists_one(x, x == 2)`, `![1, 1].exists_one(x, x == 1)`}, nil},
		"filter":      {[]string{`[1, 2, 3].filter(x, x > 1) == [2, 3]`, `{"one": 1, "two": 2}.filter(k, k.startsWith("o")) == ["one"]`}, nil},
		"map":         {[]string{`[1, 2].map(n, n * n) == [1, 4]`, `[1, 2, 3, 4].map(n, n % 2 == 0, n * 2) == [4, 8]`}, nil},
		"has": {[]string{
			`has(vars.team)`, `!has(vars.none)`, `has(vars["team"])`, `!has(vars["none"])`, `has([1][0])`, `!has([1][1])`, `has(req.headers["x-list"])`, `has(req.cookies.session)`, `has(vars.object)`,
		}, fails{`has(vars.none.x)`: expression.Absent, `has(vars.n[0])`: expression.Unfit}},
	}
}

func codingCases() map[string]cases {
	type fails = map[string]expression.Reason
	return map[string]cases{
		"base64.decode":      {[]string{`base64.decode("aGVsbG8=") == b"hello"`}, fails{`base64.decode("aGVsbG8") == b""`: expression.Unfit}},
		"base64.encode":      {[]string{`base64.encode(b"hello") == "aGVsbG8="`}, fails{`base64.encode(vars.team) == ""`: expression.Unfit}},
		"decodeBase64":       {[]string{`"c29tZTp0aGluZw==".decodeBase64() == "some:thing"`}, fails{`"/w==".decodeBase64() == ""`: expression.Unfit, `"?".decodeBase64() == ""`: expression.Unfit}},
		"encodeBase64":       {[]string{`"some:thing".encodeBase64() == "c29tZTp0aGluZw=="`}, fails{`vars.n.encodeBase64() == ""`: expression.Unfit}},
		"basic_auth.encode":  {[]string{`basic_auth.encode("username", "password1") == "Basic dXNlcm5hbWU6cGFzc3dvcmQx"`}, fails{`basic_auth.encode("a", vars.n) == ""`: expression.Unfit}},
		"json.decode":        {[]string{`json.decode('{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, null, true]}`, `json.decode("7") == 7`}, fails{`json.decode("{") == 1`: expression.Unfit, `json.decode("1 2") == 1`: expression.Unfit}},
		"decodeJson":         {[]string{`'{"a":"b"}'.decodeJson().a == "b"`}, fails{`"x".decodeJson() == 1`: expression.Unfit}},
		"json.encode":        {[]string{`json.encode({"b": 1, "a": ["<", null]}) == '{"a":["<",null],"b":1}'`, `json.encode(conn.client_ip) == '"192.0.2.7"'`, `json.encode(b"hi") == '"aGk="'`}, fails{`json.encode(conn) == ""`: expression.Unfit}},
		"encodeJson":         {[]string{`["a", 1].encodeJson() == '["a",1]'`, `{"a": 1u}.encodeJson() == '{"a":1}'`}, fails{`vars.n.encodeJson() == ""`: expression.Unfit}},
		"isJson":             {[]string{`'{"a":"b"}'.isJson()`, `!"not json".isJson()`}, fails{`vars.n.isJson()`: expression.Unfit}},
		"queryString.decode": {[]string{`queryString.decode("q=hello&c=d%20e") == {"q": "hello", "c": "d e"}`, `queryString.decode(req.url.query)["q"] == "1"`}, fails{`queryString.decode("%") == {}`: expression.Unfit}},
		"decodeQueryString":  {[]string{`"a=b&c=d".decodeQueryString() == {"a": "b", "c": "d"}`}, fails{`"a=%".decodeQueryString() == {}`: expression.Unfit}},
		"queryString.encode": {[]string{`queryString.encode({"q": "a b", "n": 1, "l": ["x", "y"]}) == "l=x&l=y&n=1&q=a+b"`}, fails{`queryString.encode(vars.n) == ""`: expression.Unfit, `queryString.encode({"a": conn}) == ""`: expression.Unfit}},
		"encodeQueryString":  {[]string{`{"a": "b", "c": "d"}.encodeQueryString() == "a=b&c=d"`}, nil},
		"isQueryString":      {[]string{`"a=b&c=d".isQueryString()`, `!"not a query string".isQueryString()`, `!"".isQueryString()`}, fails{`vars.n.isQueryString()`: expression.Unfit}},
		"isURL":              {[]string{`"https://ngrok.com".isURL()`, `!"not a url".isURL()`, `!"/path".isURL()`}, fails{`vars.n.isURL()`: expression.Unfit}},
		"url.escape":         {[]string{`url.escape("i;md/r/$y z") == "i%3Bmd%2Fr%2F%24y%20z"`}, fails{`url.escape(vars.n) == ""`: expression.Unfit}},
		"escapeUrl":          {[]string{`"i;md/r/$y".escapeUrl() == "i%3Bmd%2Fr%2F%24y"`}, nil},
		"url.unescape":       {[]string{`url.unescape("%2Ffoo+x") == "/foo+x"`}, fails{`url.unescape("%zz") == ""`: expression.Unfit}},
		"unescapeUrl":        {[]string{`"i%3Bmd%2Fr%2F%24y".unescapeUrl() == "i;md/r/$y"`}, nil},
		"url.parse":          {[]string{`url.parse("https://ngrok.com:8080/a?b#c") == {"scheme": "https", "host": "ngrok.com:8080", "hostname": "ngrok.com", "port": "8080", "path": "/a", "query": "b", "fragment": "c"}`, `url.parse(req.url).scheme == "https"`}, fails{`url.parse("%zz") == {}`: expression.Unfit}},
		"parseUrl":           {[]string{`"https://ngrok.com".parseUrl().host == "ngrok.com"`}, nil},
	}
}

func scopeCases() map[string]cases {
	type fails = map[string]expression.Reason
	return map[string]cases{
		"inCidrRange":   {[]string{`inCidrRange("192.168.1.100", "192.168.1.0/24")`, `!inCidrRange("192.168.2.1", "192.168.1.0/24")`, `inCidrRange("::ffff:10.0.0.1", "10.0.0.0/8")`, `inCidrRange("2001:db8::1", "2001:db8::/32")`, `inCidrRange("10.0.0.1", "10.0.0.1")`, `!inCidrRange("x", "10.0.0.0/8")`, `!inCidrRange("10.0.0.1", "10.0.0.0/40")`}, nil},
		"inCidrRanges":  {[]string{`inCidrRanges("192.168.1.100", ["x", "10.0.0.0/8", "192.168.1.0/24"])`, `!inCidrRanges("192.168.1.100", [])`}, fails{`inCidrRanges("10.0.0.1", vars.n)`: expression.Unfit}},
		"isPrivateIp":   {[]string{`"192.168.1.1".isPrivateIp()`, `"10.1.2.3".isPrivateIp()`, `!"8.8.8.8".isPrivateIp()`, `!"x".isPrivateIp()`, `!"fd00::1".isPrivateIp()`}, fails{`vars.n.isPrivateIp()`: expression.Unfit}},
		"secrets.get":   {[]string{`secrets.get("v", "n") == "hunter2-n"`}, fails{`secrets.get("none", "n") == ""`: expression.Withheld, `secrets.get(vars.n, "n") == ""`: expression.Unfit}},
		"rand.double":   {[]string{`rand.double() >= 0.0 && rand.double() < 1.0`}, nil},
		"rand.int":      {[]string{`rand.int() in [0, 1]`, `rand.int(3, 3) == 3`, `rand.int(0, 9223372036854775807) >= 0`, `lists.range(300).exists(i, rand.int(0, 3) == 3)`}, fails{`rand.int(2, 1) == 1`: expression.Unfit, `rand.int(-1, 1) == 1`: expression.Unfit}},
		"hasReqHeader":  {[]string{`hasReqHeader("User-Agent")`, `hasReqHeader("user-agent")`, `!hasReqHeader("X-None")`, `!hasReqHeader(vars.team)`}, nil},
		"getReqHeader":  {[]string{`getReqHeader("x-list") == ["a", "b"]`, `getReqHeader("X-None") == []`}, fails{`getReqHeader("X-None")[0] == ""`: expression.Absent}},
		"hasReqCookie":  {[]string{`hasReqCookie("session")`, `!hasReqCookie("Session")`}, nil},
		"getReqCookie":  {[]string{`getReqCookie("session").value == "s1"`, `!has(getReqCookie("session").domain)`}, fails{`getReqCookie("none").value == ""`: expression.Absent, `getReqCookie("session").domain == ""`: expression.Absent}},
		"hasQueryParam": {[]string{`hasQueryParam("q")`, `!hasQueryParam("Q")`}, nil},
		"getQueryParam": {[]string{`getQueryParam("q") == ["1", "2"]`, `size(getQueryParam("none")) == 0`}, nil},
		"hasResHeader":  {[]string{`hasResHeader("content-type")`, `!hasResHeader("X-None")`}, nil},
		"getResHeader":  {[]string{`size(getResHeader("Content-Type").filter(v, v.matches("text/plain"))) > 0`}, nil},
		"hasResCookie":  {[]string{`hasResCookie("a")`, `!hasResCookie("b")`}, nil},
		"getResCookie":  {[]string{`getResCookie("a").value == "1"`, `getResCookie("a").max_age == duration("1h")`, `getResCookie("a").expires < timestamp(time.now)`}, fails{`getResCookie("b").value == ""`: expression.Absent}},
	}
}

// CEL's own functions, and those of its math library, are named once each: that they are there.
func standardCases() map[string]cases {
	all := map[string]cases{}
	for name, holds := range map[string]string{
		"bool": `bool("true")`, "bytes": `bytes("a") == b"a"`, "double": `double("1.5") == 1.5`, "duration": `duration("90s").getMinutes() == 1`, "dyn": `dyn(1) == 1`,
		"int": `int("7") == 7`, "string": `string(7) == "7"`, "timestamp": `timestamp("2026-01-01T00:00:00Z") < timestamp(time.now)`, "type": `type(1) == int`, "uint": `uint(1) == 1u`,
		"getDate": `timestamp("2023-12-25T00:00:00Z").getDate("America/Los_Angeles") == 24`, "getDayOfMonth": `timestamp("2023-12-25T00:00:00Z").getDayOfMonth() == 24`,
		"getDayOfWeek": `timestamp("2023-12-25T12:00:00Z").getDayOfWeek() == 1`, "getDayOfYear": `timestamp("2023-12-25T12:00:00Z").getDayOfYear() == 358`,
		"getFullYear": `timestamp("2023-12-25T12:00:00Z").getFullYear() == 2023`, "getHours": `duration("3h").getHours() == 3`, "getMilliseconds": `duration("1.234s").getMilliseconds() == 1234`,
		"getMinutes": `duration("1h30m").getMinutes() == 90`, "getMonth": `timestamp("2023-12-25T12:00:00Z").getMonth() == 11`, "getSeconds": `duration("1m30s").getSeconds() == 90`,
		"math.greatest": `math.greatest(1, 3, 2) == 3`, "math.least": `math.least([2, 1]) == 1`, "math.abs": `math.abs(-1) == 1`, "math.ceil": `math.ceil(1.2) == 2.0`, "math.floor": `math.floor(1.8) == 1.0`,
		"math.round": `math.round(1.5) == 2.0`, "math.trunc": `math.trunc(1.9) == 1.0`, "math.sign": `math.sign(-3) == -1`, "math.sqrt": `math.sqrt(4.0) == 2.0`, "math.isNaN": `math.isNaN(0.0 / 0.0)`,
		"math.isInf": `math.isInf(1.0 / 0.0)`, "math.isFinite": `math.isFinite(1.0)`, "math.bitAnd": `math.bitAnd(3, 2) == 2`, "math.bitOr": `math.bitOr(1, 2) == 3`, "math.bitXor": `math.bitXor(1, 3) == 2`,
		"math.bitNot": `math.bitNot(1) == -2`, "math.bitShiftLeft": `math.bitShiftLeft(1, 2) == 4`, "math.bitShiftRight": `math.bitShiftRight(4, 2) == 1`,
	} {
		all[name] = cases{[]string{holds}, nil}
	}
	return all
}

func allCases() map[string]cases {
	all := map[string]cases{}
	for _, some := range []map[string]cases{textCases(), listCases(), codingCases(), scopeCases(), standardCases()} {
		for name, c := range some {
			all[name] = c
		}
	}
	for name, sums := range map[string][2]string{
		"md5": {"5d41402abc4b2a76b9719d911017c592", "XUFAKrxLKna5cZ2REBfFkg=="}, "sha1": {"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
		"sha256": {hello256, base256}, "sha512": {hello512, base512}, "crc32": {"3610a686", "NhCmhg=="}, "crc64": {"3c3eeee2d8100000", "PD7u4tgQAAA="}, "xxhash64": {"26c7827d889f6da3", "JseCfYifbaM="},
	} {
		all["hash."+name] = hashCases(name, sums[0], sums[1])
		all[name] = all["hash."+name]
	}
	return all
}

func TestFunctions(t *testing.T) {
	for name, c := range allCases() {
		for _, text := range c.holds {
			x, problem := expression.Compile(expression.Message, text)
			if problem != nil {
				t.Errorf("%s: %s: %s", name, text, problem)
				continue
			}
			if got, err := x.True(scope()); !got || err != nil {
				t.Errorf("%s: %s: %v, %v", name, text, got, err)
			}
		}
		for text, reason := range c.fails {
			x, problem := expression.Compile(expression.Message, text)
			if problem != nil {
				t.Errorf("%s: %s: %s", name, text, problem)
				continue
			}
			got, err := x.True(scope())
			var failure *expression.Failure
			if got || !errors.As(err, &failure) || failure.Reason != reason || failure.Line != 1 {
				t.Errorf("%s: %s: %v, %v", name, text, got, err)
			}
		}
	}
}

// A function that nobody has tried is not known to work.
func TestEveryFunctionIsTried(t *testing.T) {
	tried := allCases()
	for _, name := range expression.Functions() {
		if len(tried[name].holds) == 0 {
			t.Errorf("%s is in no case", name)
		}
	}
	for name := range tried {
		if !strings.Contains(strings.Join(expression.Functions(), " ")+" ", name+" ") {
			t.Errorf("%s is no function", name)
		}
	}
}
