// Package storetest is the conformance suite of server/store: every implementation runs
// it in a test of its own.
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { … })
//	}
package storetest
