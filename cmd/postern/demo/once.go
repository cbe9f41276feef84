package demo

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
)

const (
	onceTimeout = 20 * time.Second
	mostAnswer  = 1 << 20
)

// once is a visitor: it sends the request of the curl line through the public URL,
// over TLS that it checks, and prints the body that comes back.
func (d *demo) once(ctx context.Context) error {
	roots, err := dial.Pool(d.caFile)
	if err != nil {
		return err
	}
	dialer := &dial.Dialer{}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.Dial(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := d.request(ctx)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport, Timeout: onceTimeout}).Do(request)
	if err != nil {
		return postern.Errorf(postern.CodeServerUnreachable, "the public URL %s did not answer", d.url).Because(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return postern.Errorf(postern.CodeStreamReset, "the answer of %s broke off", d.url).Because(err)
	}
	if _, err := d.Out.Write(body); err != nil {
		return err
	}
	return d.judge(response)
}

func (d *demo) request(ctx context.Context) (*http.Request, error) {
	if !d.sample {
		return http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/", nil)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+samplePath, strings.NewReader(sampleBody))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

// judge tells an answer of the service, whatever it says, from a page that says why
// there is none. Of the sample service it is known what it must say.
func (d *demo) judge(response *http.Response) error {
	if code := response.Header.Get("Ngrok-Error-Code"); code != "" {
		return postern.Errorf(postern.Code(code), "the answer of %s is %s and does not come from the service", d.url, response.Status)
	}
	if d.sample && response.StatusCode != http.StatusOK {
		return postern.Errorf(postern.CodeInternal, "the sample service answered %s", response.Status)
	}
	return nil
}
