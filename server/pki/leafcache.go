package pki

import (
	"container/list"
	"crypto/tls"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// leafCache keeps the certificates that were asked for last. Asking for names at
// random costs a stranger's victim some signatures, and no memory beyond its size.
type leafCache struct {
	size int

	mu     sync.Mutex
	byName map[postern.Hostname]*list.Element // of *keptLeaf
	recent *list.List                         // most recent first
}

type keptLeaf struct {
	name  postern.Hostname
	cert  *tls.Certificate
	renew time.Time // from then on it is no longer given out
}

func newLeafCache(size int) *leafCache {
	return &leafCache{size: size, byName: make(map[postern.Hostname]*list.Element), recent: list.New()}
}

// get returns nil where nothing is kept or it is time for a new one.
func (c *leafCache) get(name postern.Hostname, now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.byName[name]
	if element == nil {
		return nil
	}
	kept := element.Value.(*keptLeaf)
	// A clock that was set back makes the newest certificate not valid yet.
	if !now.Before(kept.renew) || now.Before(kept.cert.Leaf.NotBefore) {
		return nil
	}
	c.recent.MoveToFront(element)
	return kept.cert
}

func (c *leafCache) put(name postern.Hostname, cert *tls.Certificate, renew time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.byName[name]; old != nil {
		c.recent.Remove(old)
	}
	c.byName[name] = c.recent.PushFront(&keptLeaf{name: name, cert: cert, renew: renew})
	for c.recent.Len() > c.size {
		last := c.recent.Back()
		c.recent.Remove(last)
		delete(c.byName, last.Value.(*keptLeaf).name)
	}
}
