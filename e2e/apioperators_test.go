package e2e_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	ngrokapi "github.com/ngrok/ngrok-api-go/v9"
	"github.com/ngrok/ngrok-api-go/v9/kubernetes_operators"
)

func (a apiDriver) driveOperators(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	c := kubernetes_operators.NewClient(a.ClientConfig)
	driven[ngrokapi.KubernetesOperator]{
		create: func(ctx context.Context, n int) (*ngrokapi.KubernetesOperator, error) {
			made, err := c.Create(ctx, &ngrokapi.KubernetesOperatorCreate{
				EnabledFeatures: []string{"bindings", "ingress", "gateway"}, Region: "global",
				Deployment: ngrokapi.KubernetesOperatorDeployment{Name: fmt.Sprint("operator-", n), Namespace: "ngrok", Version: "0.18.0", ClusterName: "prod"},
				Binding: &ngrokapi.KubernetesOperatorBindingCreate{EndpointSelectors: []string{"true"}, CSR: request,
					IngressEndpoint: ngrokapi.String("kubernetes-binding-ingress.example.com:443")},
			})
			if err == nil && (made.Binding == nil || made.Binding.Cert.Cert == "" || made.Deployment.ClusterName != "prod") {
				err = fmt.Errorf("no certificate, or another cluster: %+v", made)
			}
			if err != nil {
				return made, err
			}
			bound := c.GetBoundEndpoints(made.ID, &ngrokapi.Paging{})
			if bound.Next(ctx) {
				return made, fmt.Errorf("%v is bound, and nothing was made", bound.Item())
			}
			return made, bound.Err()
		},
		get: c.Get, remove: c.Delete, unfiltered: true,
		list: func(limit, _ *string) ngrokapi.Iter[*ngrokapi.KubernetesOperator] {
			return c.List(&ngrokapi.Paging{Limit: limit})
		},
		update: func(ctx context.Context, id, text string) (*ngrokapi.KubernetesOperator, error) {
			return c.Update(ctx, &ngrokapi.KubernetesOperatorUpdate{ID: id, Description: &text,
				Binding: &ngrokapi.KubernetesOperatorBindingUpdate{CSR: &request}})
		},
	}.drive(t)
}
