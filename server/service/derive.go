package service

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/postern-dev/postern"
)

// nameBytes of the derivation become an assigned name, in hex. 48 bits make it rare
// that two series meet, and names hard to guess.
const nameBytes = 6

// derive gives one slot of a series as 32 bytes that only the holder of the key can
// foretell. Every part is written with its length, so that no two inputs are the same
// bytes.
func (s *Service) derive(purpose string, key seriesKey, slot uint64) []byte {
	mac := hmac.New(sha256.New, s.nameKey)
	for _, part := range []string{purpose, string(key.credential), key.kind, key.endpoint} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	mac.Write(binary.BigEndian.AppendUint64(nil, slot))
	return mac.Sum(nil)
}

func (s *Service) deriveName(key seriesKey, slot int, domain postern.Hostname) postern.Hostname {
	sum := s.derive("name", key, uint64(slot)) //nolint:gosec // slots count from 0
	return postern.Hostname(hex.EncodeToString(sum[:nameBytes])) + "." + domain
}

// derivePort gives the port from lo to hi at which the search for a free one starts.
func (s *Service) derivePort(key seriesKey, lo, hi uint16) uint16 {
	sum := s.derive("port", key, 0)
	size := uint64(hi-lo) + 1
	return lo + uint16(binary.BigEndian.Uint64(sum)%size) //nolint:gosec // below 65536
}
