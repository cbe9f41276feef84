// Package path puts a bad network between two ends of a test: a round trip of 200
// milliseconds, a packet in fifty lost, a megabit and a modem's queue, an outage.
//
// A [Path] is a TUN device in each of two network namespaces and a loop in this
// process that carries IP packets from one to the other, late, at a limited rate
// through a bounded queue, or not at all. The TCP on both ends is the kernel's: it
// measures that round trip, recovers from that loss and fills that queue, so
// programs meet what they would meet outside. A test usually asks for one with
// [Between], inside of a namespace of its own made by [Isolate].
//
// It is for Linux, and for root or a user who may make namespaces.
package path
