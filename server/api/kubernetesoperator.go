package api

import (
	"context"
	"slices"

	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// bindKubernetesOperators makes the routes of operators in Kubernetes clusters.
func bindKubernetesOperators(a *API) {
	operators := a.config.Service.KubernetesOperators()
	bind(a, resource.KubernetesOperators(), operators)
	endpoints := resource.Endpoints().Definition
	fields := filter.Of(endpoints.Object, nil)
	sublists(a, resource.KubernetesOperators().Definition, "bound_endpoints", endpoints,
		func(ctx context.Context, by service.Caller, id string, p service.Page) (service.List[resource.Endpoint], error) {
			operator, err := operators.Get(ctx, by, id)
			if err != nil {
				return service.List[resource.Endpoint]{}, err
			}
			return a.boundEndpoints(ctx, by, a.selectors(operator, fields), p)
		}, nil)
}

// selectors are those of an operator that filters can decide. One that they cannot
// selects nothing.
func (a *API) selectors(operator resource.KubernetesOperator, fields filter.Fields) []*filter.Filter {
	var all []*filter.Filter
	if operator.Binding == nil || !slices.Contains(operator.EnabledFeatures, service.FeatureBindings) {
		return nil
	}
	for _, text := range operator.Binding.EndpointSelectors {
		if selector, err := filter.CompileSelector(text, "endpoint", fields, a.config.Now()); err == nil {
			all = append(all, selector)
		}
	}
	return all
}

// boundEndpoints gives a page of the endpoints for clusters that a selector selects. It
// looks at all that the account has, for as long as a filter may.
func (a *API) boundEndpoints(ctx context.Context, by service.Caller, selectors []*filter.Filter, p service.Page) (service.List[resource.Endpoint], error) {
	var found service.List[resource.Endpoint]
	ctx, cancel := context.WithTimeout(ctx, filterTime)
	defer cancel()
	look := service.Page{Before: p.Before, Limit: scanPage, Where: store.All(store.Equal("binding", "kubernetes"), p.Where)}
	for len(selectors) > 0 {
		page, err := a.config.Service.Endpoints().List(ctx, by, look)
		if err != nil {
			return found, err
		}
		for _, endpoint := range page.Items {
			look.Before = endpoint.ID
			selected, err := selects(selectors, endpoint)
			switch {
			case err != nil:
				return found, err
			case selected && len(found.Items) == p.Limit:
				found.More = true
				return found, nil
			case selected:
				found.Items = append(found.Items, endpoint)
			}
		}
		if !page.More {
			break
		}
	}
	return found, nil
}

// selects tells whether one of the selectors is true for an endpoint.
func selects(selectors []*filter.Filter, endpoint resource.Endpoint) (bool, error) {
	for _, selector := range selectors {
		if through, err := matches(selector, endpoint); through || err != nil {
			return through, err
		}
	}
	return false, nil
}
