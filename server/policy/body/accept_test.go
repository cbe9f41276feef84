package body_test

import (
	"testing"

	"github.com/postern-dev/postern/server/policy/body"
)

func TestCodingsAreNegotiated(t *testing.T) {
	all := body.Offer{body.Gzip, body.Deflate, body.Brotli, body.Compress}
	for _, test := range []struct {
		accept []string
		want   body.Coding
	}{
		{nil, body.Identity},
		{[]string{""}, body.Identity},
		{[]string{"gzip"}, body.Gzip},
		{[]string{"x-gzip"}, body.Gzip},
		{[]string{"GZip"}, body.Gzip},
		{[]string{"br"}, body.Brotli},
		{[]string{"gzip, deflate, br, zstd"}, body.Gzip},
		{[]string{"br;q=1.0, gzip;q=0.8, *;q=0.1"}, body.Brotli},
		{[]string{"gzip;q=0.2", "br;q=0.9"}, body.Brotli},
		{[]string{"gzip;q=0"}, body.Identity},
		{[]string{"gzip;q=0, *"}, body.Deflate},
		{[]string{"gzip;q=1.0, br; q=0.5, *;q=0"}, body.Gzip},
		{[]string{"*"}, body.Gzip},
		{[]string{"*;q=0"}, body.Identity},
		{[]string{"identity"}, body.Identity},
		{[]string{"identity, gzip"}, body.Gzip},
		{[]string{"identity;q=1, gzip;q=0.5"}, body.Identity},
		{[]string{"identity;q=0"}, body.Identity},
		{[]string{"identity;q=0, *"}, body.Gzip},
		{[]string{"identity;q=0, zstd"}, body.Identity},
		{[]string{"compress"}, body.Identity},
		{[]string{"compress, gzip;q=0.1"}, body.Gzip},
		{[]string{"sdch, foo"}, body.Identity},
		{[]string{"gzip;q=2"}, body.Identity},
		{[]string{"gzip;q=0.1234"}, body.Identity},
		{[]string{"gzip;q=1.001"}, body.Identity},
		{[]string{"gzip;level=9"}, body.Identity},
		{[]string{"gzip ; Q=0.5"}, body.Gzip},
		{[]string{"gzip;q=0.001, br;q=0.002"}, body.Brotli},
	} {
		if got := body.Negotiate(test.accept, all); got != test.want {
			t.Errorf("%q: %s, want %s", test.accept, got, test.want)
		}
	}
	if got := body.Negotiate([]string{"gzip, br, zstd"}, body.Offer{body.Zstd, body.Gzip}); got != body.Zstd {
		t.Errorf("the first offer is %s", got)
	}
}

func TestWhatCannotBeDecodedIsNotAskedFor(t *testing.T) {
	for accept, want := range map[string]string{
		"gzip, deflate, br, zstd": "gzip, deflate, br, zstd",
		"gzip;q=0.5, dcz":         "gzip;q=0.5",
		"dcb, dcz":                "identity",
		"compress":                "identity",
		"*":                       "gzip",
		"*;q=0.5, br":             "gzip;q=0.5, br",
		"*;q=0, br":               "br",
		"":                        "identity",
	} {
		got, changed := body.Decodable([]string{accept})
		if got != want || changed == (got == accept || accept == "") {
			t.Errorf("%q: %q, changed %v; want %q", accept, got, changed, want)
		}
	}
}

func TestOffersAreChecked(t *testing.T) {
	for _, names := range [][]string{nil, {"gzip", "gzip"}, {"lzma"}, {"compress"}, {"GZIP"}} {
		if offer, err := body.ReadOffer(names); err == nil {
			t.Errorf("%q: %v", names, offer)
		}
	}
	if offer, err := body.ReadOffer([]string{"br", "zstd", "compress"}); err != nil || len(offer) != 3 {
		t.Errorf("%v, %v", offer, err)
	}
}
