// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"context"
	"errors"
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
)

// emptyRepositoryReason is one that Flux's API module has no constant for.
const emptyRepositoryReason = "EmptyGitRepository"

// connect reads the credentials and fills remote.
func (c *Controller) connect(ctx context.Context, s *scope) error {
	remote, err := c.remoteOf(ctx, s)
	if err != nil {
		return s.fetchFailed(sourcev1.AuthenticationFailedReason, err)
	}
	s.remote = remote
	return nil
}

func (c *Controller) remoteOf(ctx context.Context, s *scope) (*git.Remote, error) {
	u, err := git.ParseURL(s.obj.Spec.URL)
	if err != nil {
		return nil, err
	}
	secret, err := c.secret(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(secret["githubAppID"]) > 0 || len(secret["githubAppClientID"]) > 0 {
		return nil, errors.New("the Secret holds the data of a GitHub App, which this version of source-controller does not support")
	}
	auth, err := git.AuthFor(u, secret)
	if err == nil {
		var remote *git.Remote
		if remote, err = git.NewRemote(s.obj.Spec.URL, auth, c.Dialer, c.Algorithms); err == nil {
			return remote, nil
		}
	}
	return nil, fmt.Errorf("failed to configure authentication options: %w", err)
}

// secret returns the data of the Secret that the spec names, or nil.
func (c *Controller) secret(ctx context.Context, s *scope) (map[string][]byte, error) {
	if ref := s.obj.Spec.SecretRef; ref != nil {
		return c.Secret(ctx, s.obj.Namespace, ref.Name)
	}
	return nil, nil
}

// resolve asks the remote what the reference stands for and fills target.
func (c *Controller) resolve(ctx context.Context, s *scope) (err error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	s.target, err = c.Objects.Resolve(limited, s.remote, git.FromSpec(s.obj.Spec.Reference))
	if err != nil {
		return s.gitFailed(err)
	}
	if !s.current() {
		return s.outdated(ctx)
	}
	s.UpToDate()
	return nil
}

// outdated shows that another artifact is about to be built.
func (s *scope) outdated(ctx context.Context) error {
	message := fmt.Sprintf("new upstream revision '%s'", s.target.Revision)
	if s.obj.Status.Artifact.HasRevision(s.target.Revision) {
		message = "spec.ignore has changed"
	}
	return s.Outdated(ctx, message)
}

// gitFailed is fetchFailed for errors of conversations with a remote.
func (s *scope) gitFailed(err error) error {
	switch {
	case errors.Is(err, git.ErrEmpty):
		return s.fetchFailed(emptyRepositoryReason, err)
	case errors.Is(err, git.ErrAuthentication):
		return s.fetchFailed(sourcev1.AuthenticationFailedReason, checkoutError(err))
	}
	return s.fetchFailed(sourcev1.GitOperationFailedReason, checkoutError(err))
}

func checkoutError(err error) error {
	return fmt.Errorf("failed to checkout and determine revision: %w", err)
}

// fetchFailed records that the remote could not be observed.
func (s *scope) fetchFailed(reason string, err error) error {
	return s.Fail(sourcev1.FetchFailedCondition, reason, err)
}
