// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Media types of signatures.
const (
	simpleSigning  = "application/vnd.dev.cosign.simplesigning.v1+json"
	cosignReferrer = "application/vnd.dev.cosign.artifact.sig.v1+json"
	sigstoreBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	inToto         = "application/vnd.in-toto+json"
	signPredicate  = "https://sigstore.dev/cosign/sign/v1"
)

// RegistrySignature is a signature as cosign writes it.
type RegistrySignature struct {
	// Key signs; ECDSA or RSA, over the SHA-256 of the message.
	Key crypto.Signer
	// Names is the digest that the signed text names, if it is another one
	// than that which it is attached to.
	Names string
	// Reference is the docker-reference of simple signing.
	Reference string
	// PredicateType is that of the statement in a bundle; cosign's for
	// signatures if empty.
	PredicateType string
}

// Sign attaches a signature to digest as cosign before version 3 does: under
// the tag sha256-<hex>.sig.
func (r *Registry) Sign(repo, digest string, signature RegistrySignature) error {
	_, err := r.signSimple(repo, signatureTag(digest), digest, "", signature)
	return err
}

// SignReferrer attaches the same as a referrer.
func (r *Registry) SignReferrer(repo, digest string, signature RegistrySignature) error {
	desc, err := r.signSimple(repo, "", digest, digest, signature)
	if err != nil {
		return err
	}
	return r.refer(repo, digest, desc)
}

func (r *Registry) signSimple(repo, tag, digest, subject string, s RegistrySignature) (RegistryDescriptor, error) {
	names := digest
	if s.Names != "" {
		names = s.Names
	}
	payload, err := json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]any{"docker-reference": s.Reference},
			"image":    map[string]any{"docker-manifest-digest": names},
			"type":     "cosign container image signature",
		},
		"optional": nil,
	})
	if err != nil {
		return RegistryDescriptor{}, fmt.Errorf("encode a payload: %w", err)
	}
	signed, err := sign(s.Key, payload)
	if err != nil {
		return RegistryDescriptor{}, err
	}
	artifact := RegistryArtifact{
		ConfigType: ociConfig, Config: `{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`,
		Layers: []string{string(payload)}, LayerType: simpleSigning,
		LayerAnnotations: map[string]string{
			"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signed),
		},
		Subject: subject,
	}
	if subject != "" {
		artifact.ArtifactType = cosignReferrer
	}
	return r.PushArtifact(repo, tag, artifact)
}

// SignBundle attaches a Sigstore bundle with a DSSE envelope as a referrer, as
// cosign since version 3 does.
func (r *Registry) SignBundle(repo, digest string, s RegistrySignature) error {
	names, predicate := digest, signPredicate
	if s.Names != "" {
		names = s.Names
	}
	if s.PredicateType != "" {
		predicate = s.PredicateType
	}
	statement, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(names, "sha256:")}}},
		"predicateType": predicate,
		"predicate":     map[string]any{},
	})
	if err != nil {
		return fmt.Errorf("encode a statement: %w", err)
	}
	signed, err := sign(s.Key, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(inToto), inToto, len(statement), statement))
	if err != nil {
		return err
	}
	return r.attachBundle(repo, digest, "dsseEnvelope", map[string]any{
		"payload": statement, "payloadType": inToto,
		"signatures": []any{map[string]any{"sig": signed}},
	})
}

// SignMessage attaches a Sigstore bundle whose signature is over the bytes of
// the manifest.
func (r *Registry) SignMessage(repo, digest string, s RegistrySignature) error {
	names := digest
	if s.Names != "" {
		names = s.Names
	}
	answer, err := r.ask("GET", "/v2/"+repo+"/manifests/"+names, "", nil)
	if err != nil {
		return err
	}
	manifest := answer.Body.Bytes()
	signed, err := sign(s.Key, manifest)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(manifest)
	return r.attachBundle(repo, digest, "messageSignature", map[string]any{
		"messageDigest": map[string]any{"algorithm": "SHA2_256", "digest": sum[:]},
		"signature":     signed,
	})
}

// attachBundle stores a bundle with one field of content as a referrer.
func (r *Registry) attachBundle(repo, digest, field string, content map[string]any) error {
	bundle, err := json.Marshal(map[string]any{
		"mediaType":            sigstoreBundle,
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": "test"}, "tlogEntries": []any{}},
		field:                  content,
	})
	if err != nil {
		return fmt.Errorf("encode a bundle: %w", err)
	}
	desc, err := r.PushArtifact(repo, "", RegistryArtifact{
		ArtifactType: sigstoreBundle, Layers: []string{string(bundle)}, LayerType: sigstoreBundle, Subject: digest,
	})
	if err != nil {
		return err
	}
	return r.refer(repo, digest, desc)
}

// refer adds a referrer to the tag that stands for the referrers API where a
// registry has none.
func (r *Registry) refer(repo, digest string, desc RegistryDescriptor) error {
	if !r.noReferrers {
		return nil
	}
	tag := strings.Replace(digest, ":", "-", 1)
	var index struct{ Manifests []RegistryDescriptor }
	if answer, err := r.ask("GET", "/v2/"+repo+"/manifests/"+tag, "", nil); err == nil {
		if err := json.Unmarshal(answer.Body.Bytes(), &index); err != nil {
			return fmt.Errorf("read the referrers of %s: %w", digest, err)
		}
	}
	_, err := r.PushIndexOf(repo, tag, nil, append(index.Manifests, desc)...)
	return err
}

func signatureTag(digest string) string {
	return strings.Replace(digest, ":", "-", 1) + ".sig"
}

func sign(key crypto.Signer, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	signed, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}
