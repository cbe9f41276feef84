package breaker

import (
	"fmt"
	"time"
)

// What Settings may say.
const (
	LeastDuration = time.Second
	MostDuration  = 2 * time.Minute
	MostVolume    = 2_000_000_000
)

// Settings say when a Breaker opens, and for how long.
type Settings struct {
	Threshold float64       // the share of failures at which it opens: 0 to 1
	Volume    int64         // as long as fewer requests came within Window it does not
	Window    time.Duration // over which outcomes are counted
	Tripped   time.Duration // for which it stays open
}

// Default is what a policy that says nothing gets.
func Default() Settings {
	return Settings{Threshold: 0.5, Volume: 10, Window: 10 * time.Second, Tripped: 10 * time.Second}
}

// check says what is wrong, as a sentence for who set it.
func (s Settings) check() error {
	switch {
	case !(s.Threshold >= 0 && s.Threshold <= 1): // NaN is neither
		return fmt.Errorf("error_threshold is %v; give a number from 0.0 to 1.0", s.Threshold)
	case s.Volume < 1 || s.Volume > MostVolume:
		return fmt.Errorf("volume_threshold is %d; give a number from 1 to %d", s.Volume, MostVolume)
	case s.Window < LeastDuration || s.Window > MostDuration:
		return fmt.Errorf("window_duration is %v; give 1s to 2m", s.Window)
	case s.Tripped < LeastDuration || s.Tripped > MostDuration:
		return fmt.Errorf("tripped_duration is %v; give 1s to 2m", s.Tripped)
	}
	return nil
}
