package inspect

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/segmentio/ksuid"
)

// ids makes ids that sort by time within one process: "airt_" and a KSUID, whose
// first random bytes are the nanoseconds that its seconds lack.
type ids struct {
	mu   sync.Mutex
	last int64 // Unix nanoseconds
}

func (s *ids) next(now time.Time) string {
	s.mu.Lock()
	at := max(now.UnixNano(), s.last+1)
	s.last = at
	s.mu.Unlock()
	var payload [16]byte
	binary.BigEndian.PutUint32(payload[:], uint32(at%int64(time.Second)))
	_, _ = rand.Read(payload[4:]) // never fails
	id, err := ksuid.FromParts(time.Unix(at/int64(time.Second), 0), payload[:])
	if err != nil { // the payload has the one length there is
		return "airt_" + ksuid.New().String()
	}
	return "airt_" + id.String()
}
