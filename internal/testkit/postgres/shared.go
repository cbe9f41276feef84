package postgres

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Shared is one cluster for all tests of a package, started when the first asks. The
// zero value is ready; the package's TestMain must Close it. Its methods may be called
// concurrently.
type Shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Cluster returns the cluster. A test that gets none fails; it is never skipped.
func (s *Shared) Cluster(t testing.TB) *Cluster {
	t.Helper()
	s.once.Do(func() { s.cluster, s.err = Start() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.cluster
}

// Database makes an empty database and returns the URL that connects to it. It is
// dropped when the test is over.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	cluster := s.Cluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	name, err := cluster.Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := cluster.Drop(ctx, name); err != nil {
			t.Errorf("the test's database stays behind: %v", err)
		}
	})
	return cluster.URL(name)
}

// Close ends the cluster, if any test asked for it.
func (s *Shared) Close() error {
	s.once.Do(func() {})
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Close()
}
