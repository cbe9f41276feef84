package acme_test

import (
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/pebble"
)

func TestMain(m *testing.M) {
	pebble.Become()
	testkit.Leaks(m)
}
