package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cloud"
	"github.com/postern-dev/postern/server/event"
)

// lookClouds is how often cloud endpoints are read though nothing is told of them: ports
// that could not be had are tried again, and what another process has changed is found.
const lookClouds = time.Minute

// clouds are the cloud endpoints in force.
type clouds struct {
	*cloud.Endpoints
	reading sync.Mutex // held from reading the store on, so that what is older does not come later
}

// watchClouds keeps in force the cloud endpoints that the store has, and those that it had
// last while it does not answer.
func (s *Server) watchClouds(ctx context.Context) error {
	return s.followEvery(ctx, lookClouds, "cloud endpoints cannot be read; those known last stay in force", s.readClouds,
		event.EndpointCreated, event.EndpointUpdated, event.EndpointDeleted)
}

// readClouds puts into force what the store has.
func (s *Server) readClouds(ctx context.Context) error {
	s.clouds.reading.Lock()
	defer s.clouds.reading.Unlock()
	all, err := s.service.CloudEndpoints(ctx)
	if err != nil {
		return err
	}
	endpoints := make([]cloud.Endpoint, len(all))
	for i := range all {
		row := &all[i]
		endpoints[i] = cloud.Endpoint{ID: postern.EndpointID(row.ID), Account: row.Account, URL: row.URL(), Pooling: row.Pooling, Policy: row.TrafficPolicy}
		if !row.Pages.Empty() {
			pages, err := json.Marshal(row.Pages)
			if err != nil {
				return err
			}
			endpoints[i].Pages = string(pages)
		}
	}
	s.clouds.Set(endpoints)
	return nil
}
