// Package ledger is a map of bounded size.
package ledger

import "container/list"

// Ledger is a map that forgets what was used longest ago, so that strangers cannot
// make it grow. It is not safe for concurrent use.
type Ledger[K comparable, V any] struct {
	most    int
	entries map[K]*list.Element
	order   list.List // the most recently used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New makes a Ledger of at most that many entries.
func New[K comparable, V any](most int) *Ledger[K, V] {
	return &Ledger[K, V]{most: most, entries: make(map[K]*list.Element)}
}

// Get gives an entry, and whether it is there. To look is not to use.
func (l *Ledger[K, V]) Get(key K) (V, bool) {
	element, found := l.entries[key]
	if !found {
		var none V
		return none, false
	}
	return element.Value.(*entry[K, V]).value, true
}

// Displaced is the entry that Put forgets for the next new key, and whether there is one.
func (l *Ledger[K, V]) Displaced() (key K, value V, is bool) {
	if l.order.Len() < l.most {
		return key, value, false
	}
	oldest := l.order.Back().Value.(*entry[K, V])
	return oldest.key, oldest.value, true
}

// Put sets an entry, and forgets another where there are too many.
func (l *Ledger[K, V]) Put(key K, value V) {
	if element, found := l.entries[key]; found {
		element.Value.(*entry[K, V]).value = value
		l.order.MoveToFront(element)
		return
	}
	if l.order.Len() >= l.most {
		oldest := l.order.Back()
		delete(l.entries, oldest.Value.(*entry[K, V]).key)
		l.order.Remove(oldest)
	}
	l.entries[key] = l.order.PushFront(&entry[K, V]{key: key, value: value})
}

// Remove forgets an entry, if it is there.
func (l *Ledger[K, V]) Remove(key K) {
	if element, found := l.entries[key]; found {
		delete(l.entries, key)
		l.order.Remove(element)
	}
}
