package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ngrokapi "github.com/ngrok/ngrok-api-go/v9"

	"github.com/postern-dev/postern/resource"
)

// These tests run github.com/ngrok/ngrok-api-go/v9 as it is published: only the address
// and the CA that it is given are ours.

// apiClient is the configuration of ngrok's API client for a key of this server.
func (s *server) apiClient(key string) *ngrokapi.ClientConfig {
	s.t.Helper()
	transport := s.transport()
	s.t.Cleanup(transport.CloseIdleConnections)
	return ngrokapi.NewClientConfig(key,
		ngrokapi.WithBaseURL(fmt.Sprintf("https://api.%s:%d", domain, s.https)),
		ngrokapi.WithHTTPClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}))
}

// driven is what ngrok's client can do with one kind of resource, of which T is one.
type driven[T any] struct {
	create func(ctx context.Context, n int) (*T, error) // n tells apart what is made, from 0
	get    func(ctx context.Context, id string) (*T, error)
	list   func(limit, filter *string) ngrokapi.Iter[*T]
	update func(ctx context.Context, id, text string) (*T, error) // sets the description, or marked
	remove func(ctx context.Context, id string) error

	marked     string // the field that update sets; "" for the description
	shared     bool   // others of the kind exist, beside those that create makes
	unfiltered bool   // the client knows no filter for its list
}

// fields are those of what the client has read; of a token, which is shown once, it only
// says whether it is there.
func fields(t *testing.T, of any) map[string]any {
	t.Helper()
	text, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "token")
	return all
}

func idIn(t *testing.T, of any) string {
	t.Helper()
	id, _ := fields(t, of)["id"].(string)
	return id
}

// drive takes three of a kind through all that the client can do with them.
func (d driven[T]) drive(t *testing.T) {
	ctx := t.Context()
	var made []*T
	var ids []string
	for n := range 3 {
		one, err := d.create(ctx, n)
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		made, ids = append(made, one), append(ids, idIn(t, one))
		got, err := d.get(ctx, ids[n])
		if diff := cmp.Diff(fields(t, one), fields(t, got)); err != nil || diff != "" {
			t.Errorf("get, %v (-created +got):\n%s", err, diff)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	if got := d.listed(t, "2", ""); !slices.Equal(among(got, ids), ids) || !d.shared && len(got) != len(ids) {
		t.Errorf("in pages of 2 there are %v, want the newest first: %v", got, ids)
	}
	if got := d.listed(t, "", fmt.Sprintf("obj.id == %q", ids[1])); !d.unfiltered && !slices.Equal(got, ids[1:2]) {
		t.Errorf("filtered by the id %s: %v", ids[1], got)
	}
	d.change(t, idIn(t, made[0]))
	for _, id := range ids {
		if err := d.remove(ctx, id); err != nil {
			t.Fatalf("delete: %v", err)
		}
		_, err := d.get(ctx, id)
		notFound(t, err)
		notFound(t, d.remove(ctx, id))
	}
	if got := among(d.listed(t, "", ""), ids); len(got) != 0 {
		t.Errorf("deleted and still listed: %v", got)
	}
}

func (d driven[T]) change(t *testing.T, id string) {
	t.Helper()
	const text = "changed-by-ngroks-client"
	marked := d.marked
	if marked == "" {
		marked = "description"
	}
	changed, err := d.update(t.Context(), id, text)
	if err != nil || fields(t, changed)[marked] != text {
		t.Fatalf("update: %+v, %v", changed, err)
	}
	got, err := d.get(t.Context(), id)
	if diff := cmp.Diff(fields(t, changed), fields(t, got)); err != nil || diff != "" {
		t.Errorf("get, %v (-updated +got):\n%s", err, diff)
	}
	if got := d.listed(t, "1", fmt.Sprintf("obj.%s == %q", marked, text)); !d.unfiltered && !slices.Equal(got, []string{id}) {
		t.Errorf("filtered by %s: %v, want %s", marked, got, id)
	}
}

// listed are the ids of all that a list gives.
func (d driven[T]) listed(t *testing.T, limit, filter string) (ids []string) {
	t.Helper()
	optional := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	all := d.list(optional(limit), optional(filter))
	for all.Next(t.Context()) {
		ids = append(ids, idIn(t, all.Item()))
	}
	if all.Err() != nil {
		t.Fatalf("list, limit %q, filter %q: %v", limit, filter, all.Err())
	}
	return ids
}

// among are those of all that are wanted, in the order of all.
func among(all, wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return !slices.Contains(wanted, id) })
}

func notFound(t *testing.T, err error) {
	t.Helper()
	if !ngrokapi.IsNotFound(err) {
		t.Errorf("got %v, want what the client takes for not found", err)
	}
}

// paging is what lists are asked with.
func paging(limit, filter *string) *ngrokapi.FilteredPaging {
	return &ngrokapi.FilteredPaging{Limit: limit, Filter: filter}
}

// Every kind of resource that both the server and ngrok's client know is driven.
func TestEveryResourceWithNgroksClient(t *testing.T) {
	s := startServer(t)
	s.agent("http", "9") // whose session and tunnel are there to be read
	drivers := apiDriver{s.apiClient(s.APIKey)}.drivers()
	ours := map[string]bool{"self": true, "private_gateways": true, "private_gateway_tokens": true, "traffic_policies": true} // what ngrok's client does not know
	for _, kind := range resource.Table() {
		run, found := drivers[kind.Name]
		switch {
		case found:
			t.Run(kind.Name, run)
		case !ours[kind.Name]:
			t.Errorf("nothing drives %s", kind.Name)
		}
	}
}

func TestErrorsAsNgroksClientSeesThem(t *testing.T) {
	s := startServer(t, "limits: {api_requests: 60}")
	good := apiDriver{s.apiClient(s.APIKey)}
	for _, c := range []struct {
		what   string
		err    func() error
		status int32
		code   int
	}{
		{"an unknown id", func() error {
			_, err := good.vaults().Get(t.Context(), "vault_2abcdefghijklmnopqrstuvwxyz")
			return err
		}, 404, 0},
		{"an id of another kind", func() error { _, err := good.vaults().Get(t.Context(), "ak_2abcdefghijklmnopqrstuvwxyz"); return err }, 404, 0},
		{"no name", func() error { _, err := good.vaults().Create(t.Context(), nil); return err }, 400, 23001},
		{"no such vault", func() error {
			_, err := good.secrets().Create(t.Context(), &ngrokapi.SecretCreate{Name: "a", Value: "b", VaultName: "none"})
			return err
		}, 404, 24009},
		{"a bad certificate", func() error {
			_, err := good.certificates().Create(t.Context(), &ngrokapi.TLSCertificateCreate{CertificatePEM: "x", PrivateKeyPEM: "y"})
			return err
		}, 400, 1900},
		{"an authority that is none", func() error {
			_, err := good.authorities().Create(t.Context(), &ngrokapi.CertificateAuthorityCreate{})
			return err
		}, 400, 1919},
		{"an unknown field in a filter", func() error {
			text := "obj.nothing == 1"
			all := good.vaults().List(paging(nil, &text))
			all.Next(t.Context())
			return all.Err()
		}, 400, 250},
		{"a page that is too large", func() error {
			many := "101"
			all := good.vaults().List(paging(&many, nil))
			all.Next(t.Context())
			return all.Err()
		}, 400, 233},
		{"no key", func() error { _, err := (apiDriver{s.apiClient("")}).vaults().Get(t.Context(), "vault_1"); return err }, 403, 202},
		{"a key without the shape of one", func() error {
			_, err := (apiDriver{s.apiClient("hunter2")}).vaults().Get(t.Context(), "vault_1")
			return err
		}, 403, 202},
		{"another server's key", func() error {
			_, err := (apiDriver{s.apiClient("2abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJK")}).vaults().Get(t.Context(), "vault_1")
			return err
		}, 403, 203},
	} {
		err, is := c.err().(*ngrokapi.Error) //nolint:errorlint // as clients do
		if !is || err.StatusCode != c.status || err.OperationID() == "" || err.Msg == "" {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if c.code == 0 && err.ErrorCode != "" || c.code != 0 && !ngrokapi.IsErrorCode(err, c.code) {
			t.Errorf("%s: the code is %q, want %d", c.what, err.ErrorCode, c.code)
		}
	}
	var last error
	for range 100 {
		if _, last = good.vaults().Get(t.Context(), "vault_1"); ngrokapi.IsErrorCode(last, 226) {
			break
		}
	}
	if err, is := last.(*ngrokapi.Error); !is || err.StatusCode != http.StatusTooManyRequests { //nolint:errorlint // as clients do
		t.Errorf("after a hundred requests: %v", last)
	}
}
