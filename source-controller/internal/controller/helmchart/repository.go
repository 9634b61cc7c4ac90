// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmchart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/source-controller/internal/chart"
	"github.com/weir-gitops/weir/source-controller/internal/credential"
)

// errProvider is wrapped by the error for a repository whose credentials are to
// come from a cloud.
var errProvider = errors.New("credentials of clouds are not supported")

// pull fetches a chart of a repository.
func (c *Controller) pull(ctx context.Context, s *scope, repo *sourcev1.HelmRepository) (*chart.Result, error) {
	repository, err := c.repository(ctx, repo)
	if err != nil {
		return nil, &chart.Error{Reason: chart.Pull, Err: err}
	}
	turns := &inTurn{Repository: repository, slot: s.Slot}
	defer turns.Close()
	return c.Charts.Pull(ctx, turns, s.request(ctx))
}

// inTurn is a repository whose user goes on only in its turn with what was
// downloaded, until Close. Waiting for the server takes no slot.
type inTurn struct {
	chart.Repository

	slot    func(context.Context) (release func(), err error)
	release func()
}

// Download is that of chart.Repository. It is called once.
func (r *inTurn) Download(ctx context.Context, entry chart.Entry) ([]byte, error) {
	archive, err := r.Repository.Download(ctx, entry)
	if err != nil {
		return nil, err
	}
	r.release, err = r.slot(ctx)
	return archive, err
}

// Close is that of chart.Repository.
func (r *inTurn) Close() {
	if r.release != nil {
		r.release()
	}
	r.Repository.Close()
}

// repository returns what a HelmRepository describes.
func (c *Controller) repository(ctx context.Context, repo *sourcev1.HelmRepository) (chart.Repository, error) {
	if repo.Spec.Type == sourcev1.HelmRepositoryTypeOCI {
		if provider := repo.Spec.Provider; provider != "" && provider != sourcev1.GenericOCIProvider {
			return nil, fmt.Errorf("this version of source-controller does not support spec.provider: %s of HelmRepository '%s/%s': %w",
				provider, repo.Namespace, repo.Name, errProvider)
		}
		registry, err := c.Charts.OCI(repo.Spec.URL, credential.OCI(&c.Keeper, repo))
		if err != nil {
			return nil, err
		}
		return chart.WithTimeout(registry, repo.GetTimeout()), nil
	}
	source, err := credential.HTTP(ctx, &c.Keeper, repo)
	if err != nil {
		return nil, chart.Denied(err)
	}
	if a := repo.Status.Artifact; a != nil {
		source.Index = func() (io.ReadSeekCloser, error) {
			return c.open(sourcev1.HelmRepositoryKind, repo.Namespace, repo.Name, a)
		}
		if owns(sourcev1.HelmRepositoryKind, repo.Namespace, repo.Name, a) {
			source.IndexKey = path.Clean(a.Path) + "@" + a.Digest
		}
	}
	web, err := c.Charts.HTTP(source)
	if err != nil && !errors.Is(err, chart.ErrURL) {
		err = chart.Denied(err)
	}
	if err != nil {
		return nil, err
	}
	return chart.WithTimeout(web, repo.GetTimeout()), nil
}

// dependencies returns the repositories that charts of a namespace may depend
// on: those of the HelmRepositories there, with their credentials, and all
// others without any.
func (c *Controller) dependencies(namespace string) chart.Repositories {
	return func(ctx context.Context, url string) (chart.Repository, error) {
		var list sourcev1.HelmRepositoryList
		if err := c.Sources.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{urlIndex: url}); err != nil {
			return nil, fmt.Errorf("list the HelmRepositories: %w", err)
		}
		if len(list.Items) > 0 {
			first := slices.MinFunc(list.Items, func(a, b sourcev1.HelmRepository) int { return cmp.Compare(a.Name, b.Name) })
			index, err := c.open(sourcev1.HelmRepositoryKind, namespace, first.Name, first.Status.Artifact)
			if err == nil {
				err = index.Close()
			}
			if err != nil {
				first.Status.Artifact = nil // The index is downloaded instead.
			}
			return c.repository(ctx, &first)
		}
		anonymous := &sourcev1.HelmRepository{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, Spec: sourcev1.HelmRepositorySpec{URL: url},
		}
		if chart.IsOCI(url) {
			anonymous.Spec.Type = sourcev1.HelmRepositoryTypeOCI
		}
		return c.repository(ctx, anonymous)
	}
}
