package service

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
)

// tries is how many wrong attempts are heard.
func tries(g *guesses, now time.Time, attempts int, email func(int) string, addr func(int) netip.Addr) (heard int) {
	for i := range attempts {
		if _, err := g.take(now, email(i), addr(i)); err == nil {
			heard++
		} else if !postern.HasCode(err, postern.CodeTooManyFailures) {
			panic(err)
		}
	}
	return heard
}

func same[T any](value T) func(int) T { return func(int) T { return value } }

func other(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

// apart is a table in which nothing shares a place, for the thousands that it has.
func apart() *guesses {
	places := make(map[string]uint64)
	return &guesses{hash: func(text string) uint64 {
		place, ok := places[text]
		if !ok {
			place = uint64(len(places))
			places[text] = place
		}
		return place
	}}
}

func TestGuesses(t *testing.T) {
	now := time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)
	here := netip.MustParseAddr("198.51.100.7")
	person := func(i int) string { return fmt.Sprintf("p%d@example.com", i) }
	t.Run("one person, one network", func(t *testing.T) {
		g := apart()
		if n := tries(g, now, 20, same("a@example.com"), same(here)); n != guessesThere {
			t.Errorf("%d were heard", n)
		}
		if n := tries(g, now.Add(forgetThere), 20, same("a@example.com"), same(here)); n != 1 {
			t.Errorf("%d were heard later", n)
		}
		if n := tries(g, now, 1, same("b@example.com"), same(here)); n != 1 {
			t.Error("another person cannot sign in from there")
		}
		if n := tries(g, now, 1, same("a@example.com"), same(netip.MustParseAddr("203.0.113.1"))); n != 1 {
			t.Error("the person cannot sign in from elsewhere")
		}
	})
	t.Run("many people, one network", func(t *testing.T) {
		g := apart()
		v6 := func(i int) netip.Addr { return netip.AddrFrom16([16]byte{0x20, 1, 13: byte(i >> 8), 15: byte(i)}) }
		if n := tries(g, now, 100, person, v6); n != guessesHere {
			t.Errorf("%d were heard", n)
		}
	})
	t.Run("one person, many networks", func(t *testing.T) {
		g := apart()
		attempt, err := g.take(now, "a@example.com", here)
		if err != nil {
			t.Fatal(err)
		}
		attempt.right(now)
		if n := tries(g, now, 200, same("a@example.com"), other); n != guessesAt {
			t.Errorf("%d were heard", n)
		}
		if n := tries(g, now, 1, same("a@example.com"), same(here)); n != 1 {
			t.Error("the person cannot sign in from where that worked before")
		}
		if n := tries(g, now.Add(provenFor+time.Second), 1, same("a@example.com"), same(here)); n != 1 {
			t.Error("the guesses are remembered for ever")
		}
	})
	t.Run("right ones are no guesses", func(t *testing.T) {
		g := newGuesses()
		for range 100 {
			attempt, err := g.take(now, "a@example.com", here)
			if err != nil {
				t.Fatal(err)
			}
			attempt.right(now)
		}
	})
	t.Run("no address", func(t *testing.T) {
		if n := tries(apart(), now, 20, same("a@example.com"), same(netip.Addr{})); n != guessesThere {
			t.Errorf("%d were heard", n)
		}
	})
}
