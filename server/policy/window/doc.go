// Package window counts what comes over a sliding window of time, key by key, and says
// when it is too much.
//
// In no stretch of time as long as the window does a key pass more often than its
// capacity. What came is kept in up to 60 groups, each forgotten as a whole when the last
// of it leaves the window: a key that is used densely gets its room back up to a sixtieth
// of the window late. What is refused does not count.
//
// Memory is bounded, and a flood of keys does not undo the limit: a key that is displaced
// leaves its count to one of a fixed number of lots, and every key of the lot that is not
// remembered begins with that. So keys in use keep counts of their own during a flood, who
// was refused stays refused, and strangers together pass about as often as twice the
// number of remembered keys, each at its capacity, would.
package window
