package expression

import (
	"net/netip"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

func addressFunctions() []function {
	private := func(s string) (any, error) {
		address, err := netip.ParseAddr(s)
		return err == nil && address.Unmap().Is4() && address.Unmap().IsPrivate(), nil
	}
	return []function{
		{"inCidrRange", []form{call(kind.boolean, inRange, kind.text, kind.text)}},
		{"inCidrRanges", []form{call(kind.boolean, inRanges, kind.text, kind.texts)}},
		{"isPrivateIp", []form{method(kind.boolean, ofText(private), kind.text)}},
	}
}

// inRange is false for what is no address and no range, as it is at ngrok.
func inRange(address, cidr ref.Val) ref.Val {
	a, ok := addressOf(address)
	return types.Bool(ok && within(a, cidr))
}

func inRanges(address, cidrs ref.Val) ref.Val {
	elements, err := elementsOf(cidrs)
	if err != nil {
		return types.WrapErr(err)
	}
	a, ok := addressOf(address)
	for _, cidr := range elements {
		if ok && within(a, cidr) {
			return types.True
		}
	}
	return types.False
}

func addressOf(value ref.Val) (netip.Addr, bool) {
	s, _ := value.(types.String)
	address, err := netip.ParseAddr(string(s))
	return address.Unmap().WithZone(""), err == nil
}

// within takes a range, or a single address.
func within(address netip.Addr, value ref.Val) bool {
	prefix, ok := rangeOfText(value)
	return ok && prefix.Contains(address)
}

func rangeOfText(value ref.Val) (netip.Prefix, bool) {
	s, _ := value.(types.String)
	if prefix, err := netip.ParsePrefix(string(s)); err == nil {
		return prefix, true
	}
	single, err := netip.ParseAddr(string(s))
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(single.Unmap(), single.Unmap().BitLen()), true
}
