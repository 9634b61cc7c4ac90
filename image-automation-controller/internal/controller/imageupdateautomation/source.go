// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/batch"
	"github.com/weir-gitops/weir/image-automation-controller/internal/signing"
	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// defaultTimeout is that of GitRepositories older than their default.
const defaultTimeout = time.Minute

// findSource reads the GitRepository and, if any are followed, the
// ImagePolicies.
func (c *Controller) findSource(ctx context.Context, s *scope) error {
	name := sourceName(s.obj)
	source := &sourcev1.GitRepository{}
	err := c.Client.Get(ctx, name, source)
	if apierrors.IsNotFound(err) {
		return sourceFailed(fmt.Errorf("referenced git repository does not exist: create GitRepository '%s', or mend spec.sourceRef", name))
	}
	if err != nil {
		return sourceFailed(fmt.Errorf("read GitRepository '%s': %w", name, err))
	}
	if fields := unsupported(&source.Spec); len(fields) > 0 {
		return reconcile.Stalled(imagev1.UnsupportedFieldReason, fmt.Errorf(
			"this version of image-automation-controller does not support %s of GitRepository '%s'; remove it, or use another source", strings.Join(fields, ", "), name))
	}
	s.source = source
	return c.findPolicies(ctx, s)
}

// sourceFailed is a failure to make use of the source, worth a retry.
func sourceFailed(err error) error {
	return reconcile.Fail(imagev1.SourceManagerFailedReason, fmt.Errorf("failed configuring source manager: %w", err))
}

// unsupported names the fields of a source that its commits would ignore.
func unsupported(spec *sourcev1.GitRepositorySpec) []string {
	var fields []string
	if spec.Provider != "" && spec.Provider != sourcev1.GitProviderGeneric {
		fields = append(fields, "spec.provider: "+spec.Provider)
	}
	if spec.ServiceAccountName != "" {
		fields = append(fields, "spec.serviceAccountName")
	}
	if spec.ProxySecretRef != nil {
		fields = append(fields, "spec.proxySecretRef")
	}
	return fields
}

// findPolicies reads what the ImagePolicies that are followed have picked.
func (c *Controller) findPolicies(ctx context.Context, s *scope) error {
	selector, err := selectorOf(s.obj)
	if err != nil {
		return reconcile.Stalled(imagev1.InvalidPolicySelectorReason, fmt.Errorf("failed to parse policy selector: %w", err))
	}
	s.policies = imagev1.ObservedPolicies{}
	if selector.Empty() || !matchesNothing(s.obj) {
		var list imagev1.ImagePolicyList
		if err := c.Client.List(ctx, &list, client.InNamespace(s.obj.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return reconcile.Fail(imagev1.UpdateFailedReason, fmt.Errorf("list ImagePolicies of namespace %s: %w", s.obj.Namespace, err))
		}
		for i := range list.Items {
			// Policies that have not picked anything yet are left out.
			if ref := list.Items[i].Status.LatestRef; ref != nil {
				s.policies[list.Items[i].Name] = *ref
			}
		}
	}
	return nil
}

// matchesNothing reports whether an automation follows no ImagePolicy.
func matchesNothing(a *imagev1.ImageUpdateAutomation) bool {
	return a.Spec.PolicySelector == nil && a.Spec.Weir != nil && len(a.Spec.Weir.Images) > 0
}

// connect reads the credentials and says where commits go.
func (c *Controller) connect(ctx context.Context, s *scope) error {
	if s.run.ready {
		return nil
	}
	target, err := c.targetOf(ctx, s)
	if err != nil {
		return err
	}
	base, err := c.baseOf(ctx, s)
	if err != nil {
		return err
	}
	base.Proposes = target.Branch != target.Base
	s.run.target, s.run.base, s.run.ready = target, base, true
	return nil
}

// targetOf says what is checked out and what is pushed to.
func (c *Controller) targetOf(ctx context.Context, s *scope) (batch.Target, error) {
	spec := s.obj.Spec.GitSpec
	ref := s.source.Spec.Reference
	if spec.Checkout != nil {
		ref = &spec.Checkout.Reference
	}
	target := batch.Target{URL: s.source.Spec.URL, Checkout: git.FromSpec(ref), Base: branchOf(ref)}
	if spec.Push != nil {
		target.Branch, target.Refspec, target.Options = spec.Push.Branch, spec.Push.Refspec, spec.Push.Options
	}
	if weir := s.obj.Spec.Weir; weir != nil && weir.PullRequest != nil {
		if target.Branch == "" {
			target.Branch = "weir/" + s.obj.Namespace + "/" + s.obj.Name
		}
		if target.Base == "" || target.Base == target.Branch {
			return target, reconcile.Stalled(imagev1.InvalidSourceConfigReason, fmt.Errorf(
				"spec.weir.pullRequest: a pull request goes from one branch to another; check out a branch, and push to another one: %w", errSource))
		}
	}
	if target.Branch == "" {
		// As in Flux the branch has to be named, by either object.
		if ref == nil || target.Base == "" {
			return target, reconcile.Stalled(imagev1.InvalidSourceConfigReason,
				fmt.Errorf("push spec not provided, and cannot be inferred from .spec.git.checkout.ref or GitRepository .spec.ref: %w", errSource))
		}
		target.Branch = target.Base
	}
	var err error
	if target.Auth, err = c.authOf(ctx, s.source); err != nil {
		return target, sourceFailed(err)
	}
	return target, nil
}

// branchOf is the branch that a reference checks out, "" if it is none.
func branchOf(ref *sourcev1.GitRepositoryRef) string {
	switch {
	case ref == nil:
		return git.DefaultBranch
	case ref.Name != "":
		branch, _ := strings.CutPrefix(ref.Name, "refs/heads/")
		if branch == ref.Name {
			return ""
		}
		return branch
	case ref.Commit != "", ref.SemVer != "", ref.Tag != "":
		return ""
	}
	return ref.Branch
}

// authOf reads the credentials of the source, the way source-controller does.
func (c *Controller) authOf(ctx context.Context, source *sourcev1.GitRepository) (git.Auth, error) {
	u, err := git.ParseURL(source.Spec.URL)
	if err != nil {
		return git.Auth{}, fmt.Errorf("GitRepository '%s/%s': spec.url: %w", source.Namespace, source.Name, err)
	}
	var secret map[string][]byte
	if ref := source.Spec.SecretRef; ref != nil {
		if secret, err = c.secret(ctx, source.Namespace, ref.Name); err != nil {
			return git.Auth{}, fmt.Errorf("failed to get auth secret '%s/%s': %w", source.Namespace, ref.Name, err)
		}
	}
	if len(secret["githubAppID"]) > 0 || len(secret["githubAppClientID"]) > 0 {
		return git.Auth{}, errors.New("the Secret holds the data of a GitHub App, which this version of image-automation-controller does not support")
	}
	return authFor(u, secret)
}

func authFor(u *url.URL, secret map[string][]byte) (git.Auth, error) {
	auth, err := git.AuthFor(u, secret)
	if err != nil {
		return git.Auth{}, fmt.Errorf("failed to configure authentication options: %w", err)
	}
	return auth, nil
}

// secret reads a Secret, live.
func (c *Controller) secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := c.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, errors.New("it does not exist")
	}
	return secret.Data, err
}

// signer returns what signs commits, or nil.
func (c *Controller) signer(ctx context.Context, s *scope) (func([]byte) (string, error), error) {
	key := s.obj.Spec.GitSpec.Commit.SigningKey
	if key == nil {
		return nil, nil
	}
	secret, err := c.secret(ctx, s.obj.Namespace, key.SecretRef.Name)
	if err != nil {
		return nil, sourceFailed(fmt.Errorf("could not find signing key secret '%s/%s': %w", s.obj.Namespace, key.SecretRef.Name, err))
	}
	sign, err := signing.Load(key.Type, secret, s.obj.Namespace, key.SecretRef.Name)
	if err != nil {
		return nil, sourceFailed(err)
	}
	return sign, nil
}

// timeout is that of one conversation with the Git server.
func timeout(source *sourcev1.GitRepository) time.Duration {
	if source.Spec.Timeout == nil {
		return defaultTimeout
	}
	return source.Spec.Timeout.Duration
}
