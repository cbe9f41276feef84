package storetest

import (
	"testing"

	"github.com/postern-dev/postern/server/store"
)

// resources are the tests of every kind of resource.
func resources() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"IP policies": testRows(kind[store.IPPolicy, *store.IPPolicy]{rows: store.Tx.IPPolicies}),
	}
}
