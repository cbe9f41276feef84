package resource

import (
	"net/http"
	"reflect"
	"time"
)

// KubernetesOperator is an operator in a cluster that has registered itself.
type KubernetesOperator struct {
	Identity
	UpdatedAt time.Time `json:"updated_at" doc:"When it was last changed: RFC 3339, in UTC, whole seconds."`
	Notes
	Principal       Ref                  `json:"principal" doc:"The user or service user that made it; its uri is empty."`
	EnabledFeatures []string             `json:"enabled_features" doc:"What it does: bindings, ingress, gateway."`
	Region          string               `json:"region" doc:"Where its endpoints are: always global."`
	Deployment      KubernetesDeployment `json:"deployment" doc:"What runs, and where."`
	Binding         *KubernetesBinding   `json:"binding" doc:"How endpoints of the account get into its cluster; null where none was asked for."`
}

// KubernetesDeployment says what runs in a cluster.
type KubernetesDeployment struct {
	Name        string `json:"name" doc:"The name of the deployment, up to 255 bytes."`
	Namespace   string `json:"namespace" doc:"The namespace that it is in, up to 255 bytes."`
	Version     string `json:"version" doc:"The version of the operator, up to 255 bytes."`
	ClusterName string `json:"cluster_name" doc:"What its people call the cluster, up to 255 bytes."`
}

// KubernetesBinding is how endpoints get into an operator's cluster.
type KubernetesBinding struct {
	EndpointSelectors []string               `json:"endpoint_selectors" doc:"CEL expressions: endpoints for which one of them is true are bound."`
	Cert              KubernetesOperatorCert `json:"cert" doc:"The certificate by which the operator is known."`
	IngressEndpoint   string                 `json:"ingress_endpoint" doc:"Where the operator connects to, as it says itself."`
}

// KubernetesOperatorCert is what the server made of a signing request.
type KubernetesOperatorCert struct {
	Cert      string    `json:"cert" doc:"The certificate in PEM, for clients, with the operator's id as its name."`
	NotBefore time.Time `json:"not_before" doc:"Since when it is valid: RFC 3339, in UTC, whole seconds."`
	NotAfter  time.Time `json:"not_after" doc:"Until when it is valid: RFC 3339, in UTC, whole seconds."`
}

// KubernetesOperatorCreate registers a KubernetesOperator.
type KubernetesOperatorCreate struct {
	Description     string                   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata        string                   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	EnabledFeatures []string                 `json:"enabled_features,omitzero" doc:"What it does: bindings, ingress, gateway."`
	Region          string                   `json:"region,omitzero" doc:"Where its endpoints are to be: global, which is the default."`
	Deployment      KubernetesDeployment     `json:"deployment,omitzero" doc:"What runs, and where."`
	Binding         *KubernetesBindingCreate `json:"binding,omitzero" doc:"How endpoints of the account are to get into its cluster."`
}

// KubernetesBindingCreate asks for a binding.
type KubernetesBindingCreate struct {
	EndpointSelectors []string `json:"endpoint_selectors,omitzero" doc:"CEL expressions, such as \"true\", up to 20 of 1024 bytes."`
	CSR               string   `json:"csr,omitzero" doc:"A certificate signing request (PKCS #10) in PEM, up to 16384 bytes. A binding needs one."`
	IngressEndpoint   *string  `json:"ingress_endpoint,omitzero" doc:"Where the operator connects to, up to 255 bytes."`
}

// KubernetesOperatorUpdate changes a KubernetesOperator; what is nil stays.
type KubernetesOperatorUpdate struct {
	Description     *string                     `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata        *string                     `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	EnabledFeatures *[]string                   `json:"enabled_features,omitzero" doc:"All that it does from now on: bindings, ingress, gateway."`
	Region          *string                     `json:"region,omitzero" doc:"Where its endpoints are to be: global."`
	Binding         *KubernetesBindingUpdate    `json:"binding,omitzero" doc:"What is to change of the binding, or all of one where there was none."`
	Deployment      *KubernetesDeploymentUpdate `json:"deployment,omitzero" doc:"What has changed of what runs."`
}

// KubernetesBindingUpdate changes a binding; what is nil stays.
type KubernetesBindingUpdate struct {
	EndpointSelectors *[]string `json:"endpoint_selectors,omitzero" doc:"Other CEL expressions, up to 20 of 1024 bytes."`
	CSR               *string   `json:"csr,omitzero" doc:"A certificate signing request in PEM. Another one than before gets another certificate; the same one gets one when two thirds of the old one's time are over."`
	IngressEndpoint   *string   `json:"ingress_endpoint,omitzero" doc:"Where the operator connects to, up to 255 bytes."`
}

// KubernetesDeploymentUpdate changes what is known of a deployment; what is nil stays.
type KubernetesDeploymentUpdate struct {
	Name    *string `json:"name,omitzero" doc:"Another name, up to 255 bytes."`
	Version *string `json:"version,omitzero" doc:"Another version, up to 255 bytes."`
}

// KubernetesOperators are the account's operators.
func KubernetesOperators() Collection[KubernetesOperator, KubernetesOperatorCreate, KubernetesOperatorUpdate] {
	return Define[KubernetesOperator, KubernetesOperatorCreate, KubernetesOperatorUpdate](Definition{
		Name: "kubernetes_operators", Singular: "Kubernetes operator", ListKey: "operators", Prefixes: []string{"k8sop"}, Operations: All,
		Routes: []Route{{
			Method: http.MethodGet, Path: "/{id}/bound_endpoints", Answer: reflect.TypeFor[Endpoint](), Status: http.StatusOK, ListKey: Endpoints().ListKey, Paged: true,
			Doc: "The endpoints with the binding kubernetes that one of the operator's selectors selects; none while its feature bindings is off. " +
				"Selectors are in the language of filters, over endpoint or obj; one that is not selects nothing.",
		}},
		Doc: "An operator in a Kubernetes cluster, registered by itself. Of a signing request it gets a certificate for clients. " +
			"This version of the server serves no endpoints into clusters yet.",
	})
}
