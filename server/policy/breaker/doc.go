// Package breaker keeps requests from an upstream that fails, and finds out when it has
// recovered.
//
// A Breaker is closed at first: everything passes, and outcomes are counted over a sliding
// window of ten buckets. Once enough of enough requests have failed it opens, and refuses
// everything for a while. Then it is half open: a few requests pass as trials. It closes
// when all of them went well, and opens again with the first that did not.
package breaker
