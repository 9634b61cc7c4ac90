// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	pkgartifact "github.com/weir-gitops/weir/pkg/artifact"
	"github.com/weir-gitops/weir/pkg/dial"
	"github.com/weir-gitops/weir/source-controller/internal/controller/helmchart"
	"github.com/weir-gitops/weir/source-controller/internal/controller/helmrepository"
	"github.com/weir-gitops/weir/source-controller/internal/controller/ocirepository"
	"github.com/weir-gitops/weir/source-controller/internal/mirror"
)

// mirrorRetries is how often one download from the leader is tried again before
// others have their turn.
const mirrorRetries = 1

// setupMirror copies the leader's artifacts until this replica leads.
func setupMirror(p *parts) error {
	o := p.options
	if !o.LeaderElection.Enable || !o.Mirror {
		return nil
	}
	client, err := p.dialer.HTTP(dial.Client{})
	if err != nil {
		return fmt.Errorf("make the client for artifacts of the leader: %w", err)
	}
	figures, err := mirror.NewFigures(metrics.Registry)
	if err != nil {
		return err
	}
	m := mirror.New(mirror.Options{
		Cache:   p.app.Manager.GetCache(),
		Kinds:   mirrored(),
		Storage: p.artifacts,
		Fetcher: pkgartifact.NewFetcher(client, mirrorRetries, o.ArtifactMaxSize),
		Figures: figures,
		Log:     p.app.Log.WithName("mirror"),
	})
	p.app.OnElected(m.Retire)
	p.app.AddReadyzCheck("mirror", m.Ready)
	return p.app.Manager.Add(m)
}

// mirrored are the kinds whose artifacts are copied.
func mirrored() []mirror.Kind {
	return []mirror.Kind{
		{Name: sourcev1.GitRepositoryKind, New: func() mirror.Object { return &sourcev1.GitRepository{} }},
		{Name: sourcev1.OCIRepositoryKind, New: func() mirror.Object { return &sourcev1.OCIRepository{} }, Pointer: ocirepository.Pointer},
		{Name: sourcev1.HelmRepositoryKind, New: func() mirror.Object { return &sourcev1.HelmRepository{} }, Pointer: helmrepository.Pointer},
		{Name: sourcev1.HelmChartKind, New: func() mirror.Object { return &sourcev1.HelmChart{} }, Pointer: helmchart.Pointer},
	}
}
