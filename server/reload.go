package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// lookEvery is how often files are looked at for changes: one stat each.
const lookEvery = time.Second

// settings is the configuration in force.
func (s *Server) settings() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inForce
}

// watchConfig reloads at hangup, and when the configuration or a certificate file has
// changed.
func (s *Server) watchConfig(ctx context.Context, hangup <-chan os.Signal) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	path := s.settings().Path
	seen := s.settings().stamp // not today's: the file may have changed since it was read
	latest := seen
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.retired:
			<-ctx.Done() // the other process follows the configuration
			return nil
		case <-hangup:
			seen = stampOf(path)
			s.reloadLogged(ctx)
		case <-look.C:
			now := stampOf(path)
			// Whoever writes a file does it in steps: a change counts once it has been
			// still from one look to the next. A file that is gone for a moment is none.
			if now != seen && now == latest && now != (fileStamp{}) {
				seen = now
				s.reloadLogged(ctx)
			}
			latest = now
			s.reloadCertificates(ctx)
			s.reloadPlaces(ctx)
			s.advanceCA(ctx)
		}
	}
}

// fileStamp tells one state of a file from another.
type fileStamp struct {
	changed time.Time
	size    int64
}

// stampOf gives the zero value for no file.
func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{changed: info.ModTime(), size: info.Size()}
}

func (s *Server) reloadLogged(ctx context.Context) {
	if err := s.Reload(ctx); err != nil {
		s.log.ErrorContext(ctx, "the new configuration is refused; the old one stays in force", "error", err)
	}
}

// Reload reads the configuration again and puts what may change into force, without
// a connection noticing. A configuration that is not valid is refused as a whole.
// Keys that need a restart keep their old values and are named in the log.
func (s *Server) Reload(ctx context.Context) error {
	if s.options.Load == nil {
		return nil
	}
	next, err := s.options.Load()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next, changed, waiting := merge(s.inForce, next)
	if err := next.checkMerged(waiting); err != nil {
		return err
	}
	access, err := s.access.open(next.AccessLog) // anew in any case: rotation asks for that
	if err != nil {
		return err
	}
	if s.options.Level != nil {
		s.options.Level.Set(next.Log.slogLevel())
	}
	s.edge.Reload(edgeLive(next, access))
	s.gateways.Reload(gatewayLive(next, access))
	s.control.SetLimits(controlLimits(next))
	s.meters.SetDefaults(quotaDefaults(next))
	s.reloadZones(next)
	s.outcalls.SetAllow(next.Outcalls.Allow)
	s.inForce = next
	s.log.InfoContext(ctx, "configuration reloaded", "changed", changed)
	if len(waiting) > 0 {
		s.log.WarnContext(ctx, "some changes wait for a restart", "keys", waiting)
	}
	return nil
}

// merge takes over from next what may change, and names what did and what has to
// wait.
func merge(current, next Config) (merged Config, changed, waiting []string) {
	merged = current
	merged.places = next.places // for messages
	for _, setting := range Settings() {
		switch {
		case setting.equal(current, next):
		case !setting.Live:
			waiting = append(waiting, setting.Key)
		default:
			// What show printed set can read: a test holds every setting to that.
			if err := setting.setText(&merged, setting.show(next)); err == nil {
				changed = append(changed, setting.Key)
			}
		}
	}
	slices.Sort(changed)
	return merged, changed, waiting
}

// checkMerged validates what would be in force. The file alone is valid, but some of
// it waits: without its other half the rest may be wrong, as when proxy_protocol and
// trusted_proxies leave together and only the latter can leave at once.
func (c *Config) checkMerged(waiting []string) error {
	var problems Problems
	c.validate(&problems)
	for _, problem := range problems {
		problem.Message += fmt.Sprintf("; since %s cannot change before a restart, restart the server instead", strings.Join(waiting, ", "))
	}
	return problems.err()
}

// reloadCertificates reads changed certificate files again.
func (s *Server) reloadCertificates(ctx context.Context) {
	s.sshHost.reload(ctx)
	if s.files == nil {
		return
	}
	changed, err := s.files.Reload()
	switch {
	case err != nil:
		s.log.WarnContext(ctx, "the new certificates are refused; the old ones stay in force", "error", postern.AsError(err))
	case changed:
		s.log.InfoContext(ctx, "certificates reloaded", "first_expiry", s.files.Expiry())
	}
}

// SlogLevel is the level that the configuration asks for.
func (c Config) SlogLevel() slog.Level { return c.Log.slogLevel() }

func (l Log) slogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // the loader lets no other text through
	}
	return level
}
