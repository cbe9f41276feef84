package postern

// Limits bound what an account, or one credential of it, may use at a time. 0 is no
// limit.
type Limits struct {
	Sessions    int64 `json:"sessions"`    // agents connected
	Endpoints   int64 `json:"endpoints"`   // online
	Connections int64 `json:"connections"` // visitors' connections and HTTP requests under way

	RequestsPerMinute int64 `json:"requests_per_minute"` // HTTP requests; a minute's worth may come at once
	BytesPerSecond    int64 `json:"bytes_per_second"`    // between visitors and agents, both directions together
}

// LimitOverrides say where the limits of one account or credential are not the
// server's own: a nil field is the server's, 0 is no limit.
type LimitOverrides struct {
	Sessions, Endpoints, Connections  *int64
	RequestsPerMinute, BytesPerSecond *int64
}

// Empty tells whether nothing is overridden.
func (o LimitOverrides) Empty() bool { return o == LimitOverrides{} }

// Over gives the limits that hold where l are the server's own.
func (o LimitOverrides) Over(l Limits) Limits {
	for _, field := range []struct {
		override *int64
		limit    *int64
	}{
		{o.Sessions, &l.Sessions},
		{o.Endpoints, &l.Endpoints},
		{o.Connections, &l.Connections},
		{o.RequestsPerMinute, &l.RequestsPerMinute},
		{o.BytesPerSecond, &l.BytesPerSecond},
	} {
		if field.override != nil {
			*field.limit = *field.override
		}
	}
	return l
}
