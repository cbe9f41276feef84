package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// KubernetesOperator is an operator that has registered itself.
type KubernetesOperator struct {
	Meta
	CreatedBy                         postern.UserID
	Features                          []string
	Region                            string
	Name, Namespace, Version, Cluster string
	Binding                           *KubernetesBinding // nil: none
}

// KubernetesBinding is how endpoints get into an operator's cluster.
type KubernetesBinding struct {
	Selectors           []string
	Request             string // the signing request, in PEM
	Certificate         string // what was made of it, in PEM
	NotBefore, NotAfter time.Time
	IngressEndpoint     string
}
