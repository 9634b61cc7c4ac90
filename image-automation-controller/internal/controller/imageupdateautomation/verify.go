// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation

import (
	"context"
	"errors"
	"fmt"

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

// verify looks for a signature of an artifact, unless a good one was found
// before: neither digest nor key can change what it covers.
func (f *finder) verify(ctx context.Context, artifact *plan.Artifact) error {
	if f.set.keys == nil {
		return nil
	}
	key := f.set.repository.String() + "@" + artifact.Digest + " " + f.set.keys.sum
	if name, ok := f.verified[key]; ok {
		artifact.SignedBy = name
		return nil
	}
	name, err := cosign.Verify(ctx, f.Registry, f.set.repository, f.set.access, artifact.Digest, f.set.keys.keys)
	switch {
	case err == nil:
		if len(f.verified) >= maxVerified {
			clear(f.verified)
		}
		f.verified[key], artifact.SignedBy = name, name
	case errors.Is(err, cosign.ErrUnsigned), errors.Is(err, cosign.ErrMismatch), isUnreadable(err):
		artifact.Signature = err
	default:
		return registryError(f.set.image, "look for signatures of "+artifact.Digest, err)
	}
	return nil
}
