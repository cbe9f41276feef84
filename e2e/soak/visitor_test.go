package soak_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// visitTime is what one visit may take, streams apart.
const visitTime = 30 * time.Second

// visitor asks over connections of one kind.
type visitor struct {
	*stage
	client *http.Client
}

// newVisitor speaks HTTP/2 when asked to, else HTTP/1.1; unless it keeps its
// connections, each visit makes one of its own, with a full handshake.
func (s *stage) newVisitor(http2, keep bool) *visitor {
	transport := &http.Transport{
		DialContext:         s.server.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: s.roots},
		ForceAttemptHTTP2:   http2,
		DisableKeepAlives:   !keep,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	}
	return &visitor{s, &http.Client{Transport: transport}}
}

// address of a path at a name of the domain.
func (s *stage) address(name, path string) string {
	return fmt.Sprintf("https://%s.%s:%d%s", name, domain, s.server.HTTPS, path)
}

func (s *stage) plainAddress(name, path string) string {
	return fmt.Sprintf("http://%s.%s:%d%s", name, domain, s.server.HTTP, path)
}

// get expects n bytes of body seed.
func (v *visitor) get(address string, seed, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), visitTime)
	defer cancel()
	body, err := v.open(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	return v.service.check(body, seed, n)
}

// open asks for what must be there and gives the body, which the caller closes.
func (v *visitor) open(ctx context.Context, address string) (io.ReadCloser, error) {
	response, err := v.ask(ctx, http.MethodGet, address, nil, 0)
	if err != nil {
		return nil, err
	}
	if err := wantStatus(response, http.StatusOK, ""); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

func bytesPath(seed, n int) string  { return fmt.Sprintf("/bytes?seed=%d&n=%d", seed, n) }
func chunksPath(seed, n int) string { return fmt.Sprintf("/chunks?seed=%d&n=%d", seed, n) }

// getPage expects an error page with a status and a code.
func (v *visitor) getPage(address string, status int, code string) error {
	ctx, cancel := context.WithTimeout(context.Background(), visitTime)
	defer cancel()
	response, err := v.ask(ctx, http.MethodGet, address, nil, 0)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := wantStatus(response, status, code); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// upload sends n bytes of body seed, chunked when told so.
func (v *visitor) upload(address string, seed, n int, chunked bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), visitTime)
	defer cancel()
	length := int64(n)
	if chunked {
		length = -1
	}
	response, err := v.ask(ctx, http.MethodPost, address, v.service.reader(seed, n), length)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if err := wantStatus(response, http.StatusOK, ""); err != nil {
		return err
	}
	if want := fmt.Sprintf("%d bytes", n); string(answer) != want {
		return fmt.Errorf("%w: the service answered %q, want %q", errWrong, answer, want)
	}
	return nil
}

func uploadPath(seed, n int) string { return fmt.Sprintf("/upload?seed=%d&n=%d", seed, n) }

// abortDownload goes away in the middle of an answer that has no end.
func (v *visitor) abortDownload(address string, seed, n int) error {
	ctx, abort := context.WithTimeout(context.Background(), visitTime)
	defer abort()
	body, err := v.open(ctx, address)
	if err != nil {
		return err
	}
	defer body.Close()
	err = v.service.check(io.LimitReader(body, int64(n)), seed, n)
	abort()
	return err
}

// abortUpload goes away in the middle of a body; the service judges what it saw.
func (v *visitor) abortUpload(address string, seed, n int) error {
	ctx, abort := context.WithCancel(context.Background())
	defer abort()
	body := &stuckBody{rest: v.service.reader(seed, n/2), stuck: abort, gone: ctx.Done()}
	response, err := v.ask(ctx, http.MethodPost, address, body, -1)
	if err == nil {
		response.Body.Close()
		return fmt.Errorf("%w: half an upload was answered with %s", errWrong, response.Status)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("before the abort: %w", err)
	}
	return nil
}

// stuckBody ends in a wait: it calls stuck there.
type stuckBody struct {
	rest  io.Reader
	stuck func()
	gone  <-chan struct{}
}

func (b *stuckBody) Read(p []byte) (int, error) {
	if n, err := b.rest.Read(p); err == nil {
		return n, nil
	}
	b.stuck()
	<-b.gone
	return 0, io.ErrClosedPipe
}

func (v *visitor) ask(ctx context.Context, method, address string, body io.Reader, length int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	return v.client.Do(request)
}

// statusError is an answer other than the one that was asked for.
type statusError struct {
	status int
	code   string
	body   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d %s %q", e.status, e.code, e.body)
}

func wantStatus(response *http.Response, status int, code string) error {
	got := response.Header.Get("Ngrok-Error-Code")
	if response.StatusCode == status && got == code {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 2000)) // for the report only
	return &statusError{response.StatusCode, got, strings.TrimSpace(string(text[:min(len(text), 200)]))}
}
