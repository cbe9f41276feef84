package body_test

import "net/http"

// header is an http.Header as body.Header.
type header struct{ http.Header }

func (h header) Remove(name string) { h.Del(name) }

func headerOf(lines ...string) header {
	h := header{http.Header{}}
	for i := 0; i < len(lines); i += 2 {
		h.Add(lines[i], lines[i+1])
	}
	return h
}
