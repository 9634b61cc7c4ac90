// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"
	"sync"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/image-automation-controller/internal/cosign"
	"github.com/weir-gitops/weir/image-automation-controller/internal/plan"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// maxVerified bounds how many good signatures are remembered for one object.
const maxVerified = 200

// verifier is what signatures are verified with.
type verifier struct {
	keys []cosign.Key
	// sum tells the keys from others.
	sum string
}

// verifierOf reads the public keys for an image.
func (c *Controller) verifierOf(ctx context.Context, namespace string, img *image) (*verifier, error) {
	name := img.Verify.SecretRef.Name
	failed := func(err error) error {
		return reconcile.Fail(imagev1.AuthenticationFailedReason, fmt.Errorf("image '%s': read the public keys in Secret '%s/%s': %w", img.Name, namespace, name, err))
	}
	secret, err := c.secret(ctx, namespace, name)
	if err != nil {
		return nil, failed(err)
	}
	keys, err := cosign.Keys(secret)
	if err != nil {
		return nil, failed(err)
	}
	return &verifier{keys: keys, sum: sum(secret)}, nil
}

// signatures names the key that has signed a digest, where that is known.
// Neither digest nor keys can change what a signature covers.
type signatures struct {
	mu sync.Mutex
	by map[string]string
}

func (s *signatures) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[key]
}

func (s *signatures) put(key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil || len(s.by) >= maxVerified {
		s.by = map[string]string{}
	}
	s.by[key] = name
}

// verify looks for a signature of an artifact, unless a good one was found
// before.
func (f *finder) verify(ctx context.Context, artifact *plan.Artifact) error {
	key := f.set.repository.String() + "@" + artifact.Digest + " " + f.set.keys.sum
	if artifact.SignedBy = f.signatures.get(key); artifact.SignedBy != "" {
		return nil
	}
	name, err := cosign.Verify(ctx, f.Registry, f.set.repository, f.set.access, artifact.Digest, f.set.keys.keys)
	switch {
	case err == nil:
		artifact.SignedBy = name
		f.signatures.put(key, name)
	case errors.Is(err, cosign.ErrUnsigned), errors.Is(err, cosign.ErrMismatch), isUnreadable(err):
		artifact.Signature = err
	default:
		return registryError(f.set.image, fmt.Errorf("look for signatures: %w", err))
	}
	return nil
}
