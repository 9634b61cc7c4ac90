// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/pkg/oci"
)

// Limits of what is read for one verification.
const (
	maxSignatures = 50
	maxReferrers  = 50
	maxPayload    = 64 << 10
	maxBundle     = 1 << 20
	// maxReasons is how many reasons an error lists.
	maxReasons = 3
)

// Verify returns the name of the first of the keys that has signed exactly
// digest in repo. It looks at what is under the tag sha256-<hex>.sig and at what
// refers to the digest, at most 50 signatures of each.
//
// Its error wraps ErrUnsigned if there is no signature, ErrMismatch if none
// fits, with what was found, or is that of the registry if something could not
// be read that might have fitted.
func Verify(ctx context.Context, c *oci.Client, repo oci.Repository, access oci.Access, digest string, keys []Key) (string, error) {
	v := verifier{client: c, repo: repo, access: access, digest: digest, keys: keys}
	for _, look := range [...]func(context.Context) error{v.tag, v.referrers} {
		err := look(ctx)
		if v.key != "" {
			return v.key, nil
		}
		if err != nil {
			v.failed = append(v.failed, err)
		}
	}
	return "", v.verdict()
}

// verifier collects what is found.
type verifier struct {
	client *oci.Client
	repo   oci.Repository
	access oci.Access
	digest string
	keys   []Key

	key     string // that has signed
	found   int
	reasons []string
	failed  []error
}

// verdict words why there is no key.
func (v *verifier) verdict() error {
	if len(v.failed) > 0 {
		return fmt.Errorf("verify the signature: %w", v.failed[0])
	}
	if v.found == 0 {
		return fmt.Errorf("%w: there is no cosign signature of %s", ErrUnsigned, v.digest)
	}
	slices.Sort(v.reasons)
	reasons := slices.Compact(v.reasons)
	text := strings.Join(reasons[:min(len(reasons), maxReasons)], "; ")
	if more := len(reasons) - maxReasons; more > 0 {
		text = fmt.Sprintf("%s; and %d more", text, more)
	}
	return fmt.Errorf("%w: %s has signatures, but %s", ErrMismatch, v.digest, text)
}

// reject notes a signature that does not fit.
func (v *verifier) reject(format string, args ...any) {
	v.found++
	v.reasons = append(v.reasons, fmt.Sprintf(format, args...))
}

// tag looks at the manifest under the tag of signatures.
func (v *verifier) tag(ctx context.Context) error {
	manifest, err := v.client.Read(ctx, v.repo, v.access, strings.Replace(v.digest, ":", "-", 1)+".sig")
	if errors.Is(err, oci.ErrNotFound) {
		return nil
	}
	if err != nil {
		return v.unreadable(err)
	}
	return v.layers(ctx, manifest)
}

// unreadable tells what is broken, and will stay so, from what may be readable
// another time.
func (v *verifier) unreadable(err error) error {
	for _, class := range [...]error{oci.ErrMalformed, oci.ErrTooLarge, oci.ErrNotFound, oci.ErrUnsupported} {
		if errors.Is(err, class) {
			v.reject("one cannot be read: %v", err)
			return nil
		}
	}
	return err
}

// referrers looks at what refers to the digest.
func (v *verifier) referrers(ctx context.Context) error {
	found, err := v.client.Referrers(ctx, v.repo, v.access, v.digest)
	if err != nil {
		return v.unreadable(err)
	}
	read := 0
	for i := range found {
		if !mayBeSignature(found[i].ArtifactType) || !oci.ValidDigest(found[i].Digest) {
			continue
		}
		if read++; read > maxReferrers {
			v.reject("there are more than %d that refer to it", maxReferrers)
			return nil
		}
		manifest, err := v.client.Read(ctx, v.repo, v.access, found[i].Digest)
		if err == nil {
			err = v.layers(ctx, manifest)
		} else {
			err = v.unreadable(err)
		}
		if err != nil || v.key != "" {
			return err
		}
	}
	return nil
}

// mayBeSignature leaves out what is known to be something else. Some registries
// do not tell the type of an artifact, but that of its config.
func mayBeSignature(artifactType string) bool {
	switch artifactType {
	case "", oci.MediaTypeEmpty, "application/vnd.oci.image.config.v1+json", "application/vnd.dev.cosign.artifact.sig.v1+json":
		return true
	default:
		return isBundle(artifactType)
	}
}

func isBundle(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.dev.sigstore.bundle")
}

// layers looks at the signatures in one manifest.
func (v *verifier) layers(ctx context.Context, manifest *oci.Content) error {
	for i := range manifest.Layers {
		layer := &manifest.Layers[i]
		simple := layer.MediaType == "application/vnd.dev.cosign.simplesigning.v1+json"
		if !simple && !isBundle(layer.MediaType) {
			continue
		}
		if i >= maxSignatures {
			v.reject("there are more than %d in one place", maxSignatures)
			return nil
		}
		limit := int64(maxBundle)
		if simple {
			limit = maxPayload
		}
		blob, err := v.client.Blob(ctx, v.repo, v.access, layer.Digest, limit)
		switch {
		case err != nil:
			err = v.unreadable(err)
		case simple:
			v.simple(blob, layer.Annotations["dev.cosignproject.cosign/signature"])
		default:
			err = v.bundle(ctx, blob)
		}
		if err != nil || v.key != "" {
			return err
		}
	}
	return nil
}
