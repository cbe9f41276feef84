// Package access brings ports of private gateways to this machine.
//
// An Access opens listeners: one for each Port, TCP or UDP, whose connections and flows
// lead to that port of its gateway, and Proxies, which speak SOCKS5 (package socks5) and
// HTTP's CONNECT and know the gateways by name. Every connection is a stream of its own
// over an agent's session, authorised by the server; whatever is no port of one of the
// gateways is refused here, so that no proxy is an open one.
//
// Those who connect are strangers, also on loopback: what they have to say before a
// stream is opened has a time and a size, and there are only so many of them.
package access
