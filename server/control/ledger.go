package control

import "container/list"

// ledger is a map that forgets what was used longest ago, so that strangers cannot
// make it grow. It is not safe for concurrent use.
type ledger[K comparable, V any] struct {
	most    int
	entries map[K]*list.Element
	order   list.List // the most recently used first
}

type ledgerEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLedger[K comparable, V any](most int) *ledger[K, V] {
	return &ledger[K, V]{most: most, entries: make(map[K]*list.Element)}
}

func (l *ledger[K, V]) get(key K) (V, bool) {
	element, found := l.entries[key]
	if !found {
		var none V
		return none, false
	}
	return element.Value.(*ledgerEntry[K, V]).value, true
}

func (l *ledger[K, V]) put(key K, value V) {
	if element, found := l.entries[key]; found {
		element.Value.(*ledgerEntry[K, V]).value = value
		l.order.MoveToFront(element)
		return
	}
	if l.order.Len() >= l.most {
		oldest := l.order.Back()
		delete(l.entries, oldest.Value.(*ledgerEntry[K, V]).key)
		l.order.Remove(oldest)
	}
	l.entries[key] = l.order.PushFront(&ledgerEntry[K, V]{key: key, value: value})
}
