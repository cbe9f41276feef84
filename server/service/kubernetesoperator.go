package service

import (
	"crypto"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/uploaded"
	"github.com/postern-dev/postern/server/store"
)

// OperatorSigner is the CA of Kubernetes operators. Methods may be called concurrently.
type OperatorSigner interface {
	// SignOperator makes a client's certificate, in PEM, for the operator with an id,
	// who has the key.
	SignOperator(id string, key crypto.PublicKey, now time.Time) (certificate string, notBefore, notAfter time.Time, err error)
}

// KubernetesOperators are the use cases of Kubernetes operators.
type KubernetesOperators = Collection[store.KubernetesOperator, resource.KubernetesOperator, resource.KubernetesOperatorCreate, resource.KubernetesOperatorUpdate, *store.KubernetesOperator]

const (
	// FeatureBindings is the feature of an operator that takes endpoints into its cluster.
	FeatureBindings = "bindings"

	// globalRegion is the only one of operators.
	globalRegion = "global"

	// maxDeploymentText bounds what an operator says of itself, in bytes.
	maxDeploymentText = 255
)

// KubernetesOperators returns the use cases of Kubernetes operators.
func (s *Service) KubernetesOperators() *KubernetesOperators {
	return &KubernetesOperators{
		service: s, definition: resource.KubernetesOperators().Definition, rows: store.Tx.KubernetesOperators,
		stored: map[string]string{"updated_at": "updated_at", "principal.id": "created_by", "region": "region", "deployment.name": "name",
			"deployment.namespace": "namespace", "deployment.version": "version", "deployment.cluster_name": "cluster_name"},
		events: eventTypes{event.KubernetesOperatorCreated, event.KubernetesOperatorUpdated, event.KubernetesOperatorDeleted},
		build:  s.buildOperator, change: s.changeOperator, show: s.showOperator,
	}
}

func (s *Service) buildOperator(d *draft, by Caller, row *store.KubernetesOperator, c resource.KubernetesOperatorCreate) error {
	row.Description, row.Metadata, row.CreatedBy = c.Description, c.Metadata, by.Principal
	row.Features, row.Region = c.EnabledFeatures, c.Region
	if row.Region == "" {
		row.Region = globalRegion
	}
	row.Name, row.Namespace, row.Version, row.Cluster = c.Deployment.Name, c.Deployment.Namespace, c.Deployment.Version, c.Deployment.ClusterName
	if err := checkOperator(row); err != nil {
		return err
	}
	if c.Binding == nil {
		return nil
	}
	wanted := resource.KubernetesBindingUpdate{IngressEndpoint: c.Binding.IngressEndpoint}
	if c.Binding.EndpointSelectors != nil {
		wanted.EndpointSelectors = &c.Binding.EndpointSelectors
	}
	if c.Binding.CSR != "" {
		wanted.CSR = &c.Binding.CSR
	}
	return s.changeBinding(d, row, wanted)
}

func (s *Service) changeOperator(d *draft, _ Caller, row *store.KubernetesOperator, u resource.KubernetesOperatorUpdate) error {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	set(&row.Features, u.EnabledFeatures)
	set(&row.Region, u.Region)
	if u.Deployment != nil {
		set(&row.Name, u.Deployment.Name)
		set(&row.Version, u.Deployment.Version)
	}
	if err := checkOperator(row); err != nil {
		return err
	}
	if u.Binding == nil {
		return nil
	}
	return s.changeBinding(d, row, *u.Binding)
}

func checkOperator(row *store.KubernetesOperator) error {
	var features []string
	for _, feature := range row.Features {
		if !slices.Contains([]string{FeatureBindings, "ingress", "gateway"}, feature) {
			return postern.Errorf(postern.CodeValueInvalid, "the field \"enabled_features\" has %q; there are bindings, ingress and gateway", clip(feature))
		}
		if !slices.Contains(features, feature) {
			features = append(features, feature)
		}
	}
	row.Features = features
	if row.Region != globalRegion {
		return postern.Errorf(postern.CodeRegionInvalid, "the region of an operator is %q, not %q", globalRegion, clip(row.Region))
	}
	for _, text := range [][2]string{{"name", row.Name}, {"namespace", row.Namespace}, {"version", row.Version}, {"cluster_name", row.Cluster}} {
		if err := checkText("deployment."+text[0], text[1], maxDeploymentText); err != nil {
			return err
		}
	}
	return nil
}

// changeBinding changes an operator's binding, or makes one.
func (s *Service) changeBinding(d *draft, row *store.KubernetesOperator, u resource.KubernetesBindingUpdate) error {
	if u == (resource.KubernetesBindingUpdate{}) {
		return nil // null, or an empty object
	}
	if row.Binding == nil {
		row.Binding = &store.KubernetesBinding{}
	}
	set(&row.Binding.Selectors, u.EndpointSelectors)
	set(&row.Binding.IngressEndpoint, u.IngressEndpoint)
	if err := checkSelectors("binding.endpoint_selectors", row.Binding.Selectors); err != nil {
		return err
	}
	if err := checkText("binding.ingress_endpoint", row.Binding.IngressEndpoint, maxDeploymentText); err != nil {
		return err
	}
	if u.CSR != nil && (*u.CSR != row.Binding.Request || nearlyOver(row.Binding, d.now)) {
		return s.signOperator(d, row, *u.CSR)
	}
	if row.Binding.Certificate == "" {
		return postern.Errorf(postern.CodeSigningRequestInvalid, "the field \"binding.csr\" is missing: a binding needs a certificate")
	}
	return nil
}

// nearlyOver tells whether two thirds of the time of a binding's certificate are over.
func nearlyOver(b *store.KubernetesBinding, now time.Time) bool {
	return now.Sub(b.NotBefore) > b.NotAfter.Sub(b.NotBefore)*2/3
}

func (s *Service) signOperator(d *draft, row *store.KubernetesOperator, text string) error {
	request, err := uploaded.Request("binding.csr", text)
	if err != nil {
		return err
	}
	if s.operators == nil {
		return postern.Errorf(postern.CodeInternal, "the service was made without a CA for Kubernetes operators")
	}
	b := row.Binding
	b.Request = text
	b.Certificate, b.NotBefore, b.NotAfter, err = s.operators.SignOperator(row.ID, request.PublicKey, d.now)
	return err
}

func (s *Service) showOperator(_ reader, row *store.KubernetesOperator) (resource.KubernetesOperator, error) {
	definition := resource.KubernetesOperators().Definition
	shown := resource.KubernetesOperator{
		Identity: s.identity(definition, &row.Meta), UpdatedAt: resource.Moment(row.UpdatedAt), Notes: notes(&row.Meta),
		Principal: resource.Ref{ID: string(row.CreatedBy)}, EnabledFeatures: append([]string{}, row.Features...), Region: row.Region,
		Deployment: resource.KubernetesDeployment{Name: row.Name, Namespace: row.Namespace, Version: row.Version, ClusterName: row.Cluster},
	}
	if b := row.Binding; b != nil {
		shown.Binding = &resource.KubernetesBinding{
			EndpointSelectors: append([]string{}, b.Selectors...), IngressEndpoint: b.IngressEndpoint,
			Cert: resource.KubernetesOperatorCert{Cert: b.Certificate, NotBefore: resource.Moment(b.NotBefore), NotAfter: resource.Moment(b.NotAfter)},
		}
	}
	return shown, nil
}
