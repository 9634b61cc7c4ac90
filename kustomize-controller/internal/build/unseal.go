// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"sigs.k8s.io/kustomize/api/types"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/build/overlay"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/substitute"
)

// Decrypter decrypts what SOPS has encrypted. The errors of its methods hold neither plaintext nor ciphertext.
type Decrypter interface {
	// Object returns an object decrypted, and false if nothing in it is encrypted. It does not change the object.
	Object(ctx context.Context, object map[string]any) (map[string]any, bool, error)
	// File returns an encrypted file as it is to be read under a name, which may decide its format.
	File(ctx context.Context, data []byte, name string) ([]byte, error)
	// Env returns an encrypted file as lines of NAME=value.
	Env(ctx context.Context, data []byte) ([]byte, error)
}

// sealed is an encrypted file that has to be decrypted before kustomize reads it.
type sealed struct {
	// name of the file in the artifact, and key by which its format goes.
	name, key string
	// env says that it is read as lines of NAME=value.
	env bool
	// public is the field that shows the content to everybody, or "". Such a file is not decrypted.
	public string
	// tooLarge says that the file was not looked into.
	tooLarge bool
}

// seals are the sealed files of a build, in the order in which they were found.
type seals []sealed

// seals notes which of the files that a kustomization has read as secrets are encrypted: the inputs of secretGenerator,
// and patches. What a ConfigMap is generated from stays as it is.
func (w *walker) seals(k *types.Kustomization, l *level) {
	for _, g := range k.SecretGenerator {
		for _, source := range g.FileSources {
			file := afterKey(source)
			key := source[:len(source)-len(file)]
			if key == "" {
				key = file
			}
			w.seal(l, sealed{name: file, key: trimEqual(key)})
		}
		for _, env := range append(slices.Clip(g.EnvSources), g.EnvSource) {
			w.seal(l, sealed{name: env, env: true})
		}
	}
	for _, p := range k.Patches {
		w.seal(l, sealed{name: p.Path, key: p.Path})
	}
	for _, g := range k.ConfigMapGenerator {
		for _, source := range g.FileSources {
			w.seal(l, sealed{name: afterKey(source), public: "configMapGenerator"})
		}
		for _, env := range append(slices.Clip(g.EnvSources), g.EnvSource) {
			w.seal(l, sealed{name: env, public: "configMapGenerator"})
		}
	}
}

func trimEqual(key string) string {
	if n := len(key); n > 0 && key[n-1] == '=' {
		return key[:n-1]
	}
	return key
}

// seal notes a file of the level if it is encrypted. A file that cannot be read is left to kustomize, which says so.
func (w *walker) seal(l *level, s sealed) {
	if s.name == "" || isURL(s.name) {
		return
	}
	s.name = path.Join(l.dir, s.name)
	size, err := w.tree.Size(s.name)
	if err != nil {
		return
	}
	if s.tooLarge = size > format.MaxBytes; !s.tooLarge {
		data, err := w.tree.ReadFile(s.name)
		if err != nil {
			return
		}
		if _, ok := format.Detect(data); !ok {
			return
		}
	}
	w.sealed = append(w.sealed, s)
}

// secret tells whether a build has to be kept from everybody else: it may hold decrypted bytes.
func (p *plan) secret(request *Request) bool {
	if request.Decrypter == nil {
		return false
	}
	return slices.ContainsFunc(p.sealed, func(s sealed) bool { return s.public == "" }) ||
		len(request.Kustomization.Spec.Components) > 0
}

// unseal decrypts files, and returns what to lay over the artifact.
func (s seals) unseal(ctx context.Context, tree *overlay.Tree, decrypter Decrypter) (map[string][]byte, error) {
	laid := map[string][]byte{}
	if decrypter == nil {
		return laid, nil
	}
	keys := map[string]sealed{}
	for _, file := range s {
		if file.public != "" {
			continue
		}
		if before, ok := keys[file.name]; ok {
			if before.env != file.env || format.Of(before.key) != format.Of(file.key) {
				return nil, fmt.Errorf("%s is encrypted and used in two formats, and can be decrypted to one; copy it", file.name)
			}
			continue
		}
		keys[file.name] = file
		if file.tooLarge {
			return nil, fmt.Errorf("%s has more than %d bytes, and a file for secretGenerator or patches may have that many where decryption is configured",
				file.name, format.MaxBytes)
		}
		plain, err := file.open(ctx, tree, decrypter)
		if err != nil {
			return nil, fmt.Errorf("decrypt %s: %w", file.name, err)
		}
		laid[file.name] = plain
	}
	for _, file := range s {
		if _, ok := laid[file.name]; ok && file.public != "" {
			return nil, fmt.Errorf("%s is encrypted, and %s would show it decrypted because it is used as a secret too; copy it", file.name, file.public)
		}
	}
	return laid, nil
}

func (s *sealed) open(ctx context.Context, tree *overlay.Tree, decrypter Decrypter) ([]byte, error) {
	data, err := tree.ReadFile(s.name)
	if err != nil {
		return nil, err
	}
	if s.env {
		return decrypter.Env(ctx, data)
	}
	return decrypter.File(ctx, data, s.key)
}

// silent returns a context without a logger, for a build whose faults may quote decrypted bytes.
func silent(ctx context.Context) context.Context {
	return logr.NewContext(ctx, logr.Discard())
}

// errWithheld takes the place of an error that may quote decrypted bytes.
var errWithheld = errors.New("it fails with its encrypted files decrypted; the cause may quote them and is not shown; " +
	"decrypt them with sops and run kustomize build to see it")

// reveal returns the content of an entry decrypted, and whether it was encrypted.
func reveal(ctx context.Context, e *entry, request *Request) (map[string]any, bool, error) {
	if leftAlone(e.content) {
		if format.Whole(e.content) && e.content["kind"] == "Secret" && e.content["apiVersion"] == "v1" {
			return nil, false, errors.New("it is encrypted as a whole and annotated with " + kustomizev1.DecryptAnnotation + ": " +
				kustomizev1.DisabledValue + ", and no API server accepts such a Secret; remove the annotation")
		}
		return e.content, false, nil
	}
	if request.Decrypter != nil {
		plain, was, err := request.Decrypter.Object(ctx, e.content)
		if err != nil {
			return nil, false, fmt.Errorf("decrypt it: %w", err)
		}
		if was {
			return plain, true, nil
		}
		return e.content, false, nil
	}
	if format.Whole(e.content) {
		return nil, false, errors.New("it is encrypted with SOPS; set spec.decryption to have it decrypted, or annotate it with " +
			kustomizev1.DecryptAnnotation + ": " + kustomizev1.DisabledValue + " if others decrypt it")
	}
	return e.content, false, nil
}

// leftAlone tells whether an object asks not to be decrypted.
func leftAlone(object map[string]any) bool {
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	value, _ := annotations[kustomizev1.DecryptAnnotation].(string)
	return strings.EqualFold(value, kustomizev1.DisabledValue)
}

// withhold takes the cause out of an error about a decrypted object, which may quote it.
func withhold(err error, secret bool) error {
	if !secret {
		return err
	}
	return errors.New("its variables cannot be replaced; the cause may quote what was decrypted and is not shown; label it " +
		substitute.Key + ": " + substitute.Disabled + " if it is to have none")
}
