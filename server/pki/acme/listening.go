package acme

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// hearing is what an authority said during one order besides what acmez makes of it.
type hearing struct {
	mu    sync.Mutex
	after time.Time // Retry-After of what it refused
}

type hearingKey struct{}

// listen has the requests that are made with the context it returns be listened to.
func listen(ctx context.Context) (context.Context, *hearing) {
	h := &hearing{}
	return context.WithValue(ctx, hearingKey{}, h), h
}

func (h *hearing) retryAfter() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.after
}

// listening is a RoundTripper that keeps the Retry-After of refusals, which acmez drops.
type listening struct{ next *http.Transport }

// RoundTrip implements http.RoundTripper.
func (l *listening) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(r)
	if h, ok := r.Context().Value(hearingKey{}).(*hearing); ok && err == nil && response.StatusCode >= http.StatusBadRequest {
		if at := parseRetryAfter(response.Header.Get("Retry-After"), time.Now()); !at.IsZero() {
			h.mu.Lock()
			h.after = at
			h.mu.Unlock()
		}
	}
	return response, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (l *listening) CloseIdleConnections() { l.next.CloseIdleConnections() }

// longestRefusal is the longest time for which an authority is believed to want no request.
const longestRefusal = 8 * 24 * time.Hour

// parseRetryAfter reads seconds or a date (RFC 9110 §10.2.3); zero for neither.
func parseRetryAfter(text string, now time.Time) time.Time {
	var at time.Time
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		at = now.Add(time.Duration(seconds) * time.Second) //nolint:gosec // 31 bits
	} else if date, err := http.ParseTime(text); err == nil {
		at = date
	}
	if at.IsZero() || !at.After(now) {
		return time.Time{}
	}
	if latest := now.Add(longestRefusal); at.After(latest) {
		return latest
	}
	return at
}
