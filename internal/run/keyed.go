package run

import "sync"

// Keyed has a value for each key that somebody uses: made for the first, shared by those
// who come meanwhile, and forgotten with the last. The zero value works, from anywhere at
// once.
type Keyed[K comparable, V any] struct {
	mu   sync.Mutex
	used map[K]*shared[V]
}

type shared[V any] struct {
	value V
	users int
}

// Use gives the value of a key; leave ends the use, and is called once. make, unless it is
// nil, sets the value up for the first; it must not wait.
func (k *Keyed[K, V]) Use(key K, make func(*V)) (value *V, leave func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	one := k.used[key]
	if one == nil {
		one = new(shared[V])
		if make != nil {
			make(&one.value)
		}
		k.put(key, one)
	}
	one.users++
	return &one.value, func() { k.leave(key, one) }
}

// put is for a new key. mu is held.
func (k *Keyed[K, V]) put(key K, one *shared[V]) {
	if k.used == nil {
		k.used = map[K]*shared[V]{}
	}
	k.used[key] = one
}

func (k *Keyed[K, V]) leave(key K, one *shared[V]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(k.used, key)
	}
}

// Len is how many keys are in use.
func (k *Keyed[K, V]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.used)
}
