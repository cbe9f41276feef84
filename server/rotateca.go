package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/service"
)

// DefaultCAOverlap is for how long clients have both roots to trust, if nobody says
// otherwise.
const DefaultCAOverlap = 30 * 24 * time.Hour

// KeyStatus is what an operator may know of the keys of an installation itself.
type KeyStatus struct {
	Sealing SealingStatus `json:"sealing"`
	CA      *CAStatus     `json:"ca,omitempty"` // nil in the mode files
}

// SealingStatus are the sealing keys, by their ids.
type SealingStatus struct {
	Keys []string `json:"keys"` // of this server, in their order
	Used []string `json:"used"` // with which secrets may be sealed; the first seals
}

// CAStatus is the local CA.
type CAStatus struct {
	File     string    `json:"file"` // for clients to trust
	Roots    []CARoot  `json:"roots"`
	SwitchAt time.Time `json:"switch_at,omitzero"` // when the second root takes over from the first
}

// CARoot is a root certificate.
type CARoot struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"` // for "postern login --ca-pin"
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Signs       bool      `json:"signs"` // what is served now
}

// StatusOfKeys tells which keys the installation has, and which rotations are under way.
func StatusOfKeys(ctx context.Context, c Config, logger *slog.Logger) (KeyStatus, error) {
	return statusOfKeys().do(ctx, c, logger, struct{}{})
}

// RotateCA makes a new root of the local CA, which takes over after the overlap. With an
// overlap of 0 it does so at once, also where it was made before.
func RotateCA(ctx context.Context, c Config, logger *slog.Logger, overlap time.Duration) (CAStatus, error) {
	return rotateCA().do(ctx, c, logger, overlap)
}

func statusOfKeys() errand[struct{}, KeyStatus] {
	return errand[struct{}, KeyStatus]{path: "/keys/status", run: func(ctx context.Context, p premises, _ struct{}) (KeyStatus, error) {
		used, err := service.SealingKeys(ctx, p.store)
		if err != nil {
			return KeyStatus{}, err
		}
		if err := p.sealing.Reload(); err != nil {
			return KeyStatus{}, err
		}
		var status KeyStatus
		for _, id := range p.sealing.Keys() {
			status.Sealing.Keys = append(status.Sealing.Keys, id.String())
		}
		for _, id := range used {
			status.Sealing.Used = append(status.Sealing.Used, id.String())
		}
		if p.ca != nil {
			ca := caStatus(p.ca)
			status.CA = &ca
		}
		return status, nil
	}}
}

func rotateCA() errand[time.Duration, CAStatus] {
	return errand[time.Duration, CAStatus]{path: "/keys/rotate-ca", run: func(_ context.Context, p premises, overlap time.Duration) (CAStatus, error) {
		if p.ca == nil {
			return CAStatus{}, postern.Errorf(postern.CodeConfigInvalid, "tls.mode is %s: there is no local CA; whoever made the certificates makes new ones", p.config.TLS.Mode)
		}
		if overlap < 0 {
			return CAStatus{}, postern.Errorf(postern.CodeFieldInvalid, "overlap %v is negative", overlap)
		}
		if !p.keys.TryLock() {
			return CAStatus{}, postern.Errorf(postern.CodeConflict, "another rotation is under way")
		}
		defer p.keys.Unlock()
		if _, err := p.ca.Rotate(time.Now().Add(overlap)); err != nil {
			return CAStatus{}, err
		}
		return caStatus(p.ca), nil
	}}
}

func caStatus(ca *pki.LocalCA) CAStatus {
	r := ca.Rotation()
	status := CAStatus{File: ca.RootFile(), Roots: []CARoot{rootOf(r.Root, true)}}
	if r.Next != nil {
		status.Roots, status.SwitchAt = append(status.Roots, rootOf(r.Next, false)), r.SwitchAt
	}
	return status
}

func rootOf(cert *x509.Certificate, signs bool) CARoot {
	return CARoot{Subject: cert.Subject.String(), Fingerprint: fingerprint(cert), NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, Signs: signs}
}

// fingerprint is how people compare certificates.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// advanceCA has the next root of the local CA take over when it is time.
func (s *Server) advanceCA(ctx context.Context) {
	if s.ca == nil {
		return
	}
	switch advanced, err := s.ca.Advance(); {
	case err != nil:
		s.log.ErrorContext(ctx, "the next root of the local CA cannot take over; the one before signs on", "error", err)
	case advanced:
		s.log.InfoContext(ctx, "the next root of the local CA has taken over", "ca_file", s.CAFile(), "ca_pin", fingerprint(s.ca.Root()))
	}
}
