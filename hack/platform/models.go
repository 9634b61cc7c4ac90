// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	// published is the name of the example's adapter below a registry.
	published = "acme-ml/support-adapter"
	// automation and adapter are the files of the example that name it.
	automation = "infra/" + Environment + "/weir/models.yaml"
	adapter    = "infra/" + Environment + "/release/adapter/adapter.yaml"
)

// Models is a registry to which the example's adapters are published, with the
// key that signs them and the one that signs what the automation commits.
type Models struct {
	// Signers is a file in the format of OpenSSH's allowed signers: whose
	// commits the automation's are.
	Signers string

	registry *testkit.Registry
	cosign   *ecdsa.PrivateKey
	commits  ed25519.PrivateKey
}

// A Model is an adapter with what its evaluation found.
type Model struct {
	Tag, Accuracy, Latency string
}

// serveModels starts the registry with the adapter that the example begins
// with, and has the example name it: registry, digest, and how often to look.
func (p *Platform) serveModels(ctx context.Context) error {
	m := &Models{Signers: p.path("allowed-signers")}
	var err error
	if m.cosign, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("make a key for models: %w", err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key for commits: %w", err)
	}
	m.commits = private
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("make a key for commits: %w", err)
	}
	if err := os.WriteFile(m.Signers, append([]byte("models@acme-ml.example "), ssh.MarshalAuthorizedKey(key)...), 0o600); err != nil {
		return fmt.Errorf("write whose commits count: %w", err)
	}
	if m.registry, err = testkit.NewRegistry(testkit.RegistryAddress(p.listen())); err != nil {
		return err
	}
	p.Models = m
	host, err := p.known(ctx, "models", "5000", m.registry.Host)
	if err != nil {
		return err
	}
	digest, err := m.Publish(Model{Tag: "1.0.0", Accuracy: "0.931", Latency: "42"})
	if err != nil {
		return err
	}
	return p.nameModels(host, digest)
}

func (p *Platform) nameModels(registry, digest string) error {
	const example = "ghcr.io/" + published
	local := registry + "/" + published
	content, err := os.ReadFile(filepath.Join(p.Repository.Dir, adapter))
	if err != nil {
		return fmt.Errorf("adapt the example: %w", err)
	}
	_, reference, _ := strings.Cut(string(content), "reference: ")
	reference, _, _ = strings.Cut(reference, " ")
	for _, edit := range []Edit{
		{adapter, reference, local + ":1.0.0@" + digest},
		{automation, "image: " + example, "image: " + local + "\n        insecure: true"},
		{automation, "interval: 1m", "interval: 1s"},
	} {
		if err := p.Repository.apply(edit); err != nil {
			return fmt.Errorf("adapt the example: %w", err)
		}
	}
	return nil
}

// Publish pushes an adapter with its evaluation, signs it and returns its
// digest.
func (m *Models) Publish(model Model) (string, error) {
	pushed, err := m.registry.PushArtifact(published, model.Tag, testkit.RegistryArtifact{
		ArtifactType: testkit.RegistryModelPack,
		Layers:       []string{"weights of " + model.Tag}, LayerType: "application/vnd.cncf.model.weight.v1.raw",
		Annotations: map[string]string{"ml.eval.accuracy": model.Accuracy, "ml.eval.p95_ms": model.Latency},
	})
	if err != nil {
		return "", fmt.Errorf("publish adapter %s: %w", model.Tag, err)
	}
	if err := m.registry.Sign(published, pushed.Digest, testkit.RegistrySignature{Key: m.cosign}); err != nil {
		return "", fmt.Errorf("sign adapter %s: %w", model.Tag, err)
	}
	return pushed.Digest, nil
}

// createModelSecrets puts the keys into the cluster, which are not in Git.
func (p *Platform) createModelSecrets(ctx context.Context) error {
	identity, err := ssh.MarshalPrivateKey(p.Models.commits, "")
	if err != nil {
		return fmt.Errorf("encode the key for commits: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&p.Models.cosign.PublicKey)
	if err != nil {
		return fmt.Errorf("encode the key for models: %w", err)
	}
	for _, secret := range []struct {
		name, key string
		block     *pem.Block
	}{
		{"models-signing-key", "identity", identity},
		{"models-cosign-keys", "release.pub", &pem.Block{Type: "PUBLIC KEY", Bytes: public}},
	} {
		file := p.path(secret.name)
		if err := os.WriteFile(file, pem.EncodeToMemory(secret.block), 0o600); err != nil {
			return fmt.Errorf("write the Secret %s: %w", secret.name, err)
		}
		_, err := p.Kubectl(ctx, "create", "secret", "generic", secret.name, "--namespace="+PlatformNamespace, "--from-file="+secret.key+"="+file)
		if err != nil {
			return err
		}
	}
	return nil
}
