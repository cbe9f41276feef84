package run_test

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/run"
)

// crew counts the goroutines of crews.
func crew() int {
	text := make([]byte, 1<<20)
	return bytes.Count(text[:runtime.Stack(text, true)], []byte("run.(*Crew).work("))
}

// Goroutines stay for the next job, and go home when there is none.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c run.Crew
		var done atomic.Int64
		for range 3 {
			var hold sync.WaitGroup
			hold.Add(1)
			for range 10 { // at once
				c.Go(func() {
					hold.Wait()
					done.Add(1)
				})
			}
			synctest.Wait()
			hold.Done()
			synctest.Wait()
			if n := crew(); n != 10 {
				t.Fatalf("%d goroutines are there", n)
			}
		}
		for range 100 { // one after the other
			c.Go(func() { done.Add(1) })
			synctest.Wait()
		}
		if n := crew(); n != 10 || done.Load() != 130 {
			t.Fatalf("%d goroutines are there, %d jobs were done", n, done.Load())
		}
		for range 5 { // one is needed, the others are not
			time.Sleep(300 * time.Millisecond)
			c.Go(func() { done.Add(1) })
			synctest.Wait()
		}
		if n := crew(); n != 1 {
			t.Fatalf("%d goroutines are there for one job now and then", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := crew(); n != 0 {
			t.Fatalf("%d goroutines are there for nothing", n)
		}
		c.Go(func() { done.Add(1) })
		synctest.Wait()
		c.Close()
		c.Go(func() { done.Add(1) })
		synctest.Wait()
		if n := crew(); n != 0 || done.Load() != 137 {
			t.Fatalf("%d goroutines are there after the end, %d jobs were done", n, done.Load())
		}
	})
}

// What waits is bounded, however many jobs come at once.
func TestCrewIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c run.Crew
		var hold sync.WaitGroup
		hold.Add(1)
		for range 1000 {
			c.Go(hold.Wait)
		}
		synctest.Wait()
		hold.Done()
		synctest.Wait()
		if n := crew(); n != 64 {
			t.Fatalf("%d goroutines wait", n)
		}
		c.Close()
	})
}

func BenchmarkCrew(b *testing.B) {
	for name, start := range map[string]func(*run.Crew, func()){
		"crew": (*run.Crew).Go,
		"go":   func(_ *run.Crew, job func()) { go job() },
	} {
		b.Run(name, func(b *testing.B) {
			var c run.Crew
			defer c.Close()
			var done sync.WaitGroup
			job := func() {
				deep(20)
				done.Done()
			}
			b.ReportAllocs()
			for b.Loop() {
				done.Add(1)
				start(&c, job)
				done.Wait()
			}
		})
	}
}

// deep needs a stack of some KiB.
func deep(n int) byte {
	var space [200]byte
	space[n] = byte(n)
	if n > 0 {
		space[0] = deep(n - 1)
	}
	return space[0] + space[n]
}
