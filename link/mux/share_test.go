package mux_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/link/mux"
)

// sharers is how many streams a budget is divided among, each over a path of its own.
const sharers = 16

// share runs downloads over paths of 40 ms and 9 MiB/s, 360 KiB in flight, whose
// receivers share a budget of 8 MiB, and returns the bytes that each moved in the
// last two of four seconds. starts delays the later ones.
func share(t *testing.T, starts func(i int) time.Duration) (moved []int64) {
	const rate = 9 << 20
	moved = make([]int64, sharers)
	synctest.Test(t, func(t *testing.T) {
		budget := mux.NewBudget()
		sessions := make([]*mux.Session, 0, 2*sharers)
		began := time.Now()
		for i := range sharers {
			a, b := limited(t, 20*time.Millisecond, rate)
			c := mux.Config{RichResets: true, Window: 128 << 10, MaxWindow: 2 << 20, Heartbeat: 10 * time.Second}
			server := mux.New(a, c)
			c.Client, c.Budget, c.Limits.Buffered = true, budget, 8<<20
			client := mux.New(b, c)
			sessions = append(sessions, server, client)
			if _, err := client.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			near, far := opened(t, server, client)
			go func() {
				time.Sleep(starts(i))
				piece := make([]byte, 64<<10)
				for {
					if _, err := near.Write(piece); err != nil {
						return
					}
				}
			}()
			go func() {
				buffer := make([]byte, 64<<10)
				for {
					n, err := far.Read(buffer)
					if err != nil {
						return
					}
					if time.Since(began) > 4*time.Second {
						moved[i] += int64(n)
					}
				}
			}()
		}
		time.Sleep(time.Until(began.Add(6 * time.Second)))
		for _, s := range sessions {
			s.Close(nil)
		}
		for _, s := range sessions {
			<-s.Closed()
		}
	})
	for i, n := range moved {
		moved[i] = 100 * n / (2 * rate)
	}
	return moved
}

// B5-8: where the budget does not suffice for all that the paths could hold, every
// stream gets its part of it, whoever came first.
func TestStreamsShareTheBudget(t *testing.T) {
	for name, starts := range map[string]func(int) time.Duration{
		"together":            func(int) time.Duration { return 0 },
		"one after the other": func(i int) time.Duration { return time.Duration(i) * 100 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			moved := share(t, starts)
			t.Logf("percent of the path: %v", moved)
			if least := slices.Min(moved); least < 75 {
				t.Errorf("a stream got %d %% of its path", least)
			}
		})
	}
}
