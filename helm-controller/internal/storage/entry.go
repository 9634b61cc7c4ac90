// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// entry is what is kept of a Secret. It is never changed.
type entry struct {
	key     string
	uid     types.UID
	version string // resourceVersion
	labels  map[string]string
	head    []byte // the Secret without its data and managed fields, as JSON
	body    []byte // the release, compressed
	broken  error  // why there is no body
}

// overhead is about what an entry takes beside its bytes.
const overhead = 1000

func (e *entry) size() int64 { return int64(len(e.head)+len(e.body)) + overhead }

// entryOf reads a Secret. It takes the object apart.
func entryOf(secret *unstructured.Unstructured) *entry {
	e := &entry{key: secret.GetName(), uid: secret.GetUID(), version: secret.GetResourceVersion(), labels: secret.GetLabels()}
	text, found, err := unstructured.NestedString(secret.Object, "data", dataKey)
	switch {
	case err != nil || !found:
		e.broken = fmt.Errorf("it has nothing under the key %s", dataKey)
	default:
		e.body, e.broken = bodyOf(text)
	}
	secret.SetManagedFields(nil)
	delete(secret.Object, "data")
	if e.head, err = json.Marshal(secret.Object); err != nil {
		e.broken = errors.New("its metadata cannot be kept")
	}
	return e
}

func bodyOf(text string) ([]byte, error) {
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decode it: %w", err)
	}
	return fromText(value)
}

// record unpacks an entry.
func (s *Store) record(e *entry) (*Record, error) {
	if e.broken != nil {
		return nil, e.broken
	}
	document, err := s.codec.unpack(e.body)
	if err != nil {
		return nil, err
	}
	decoded, err := release.Decode(document)
	if err != nil {
		return nil, short(err)
	}
	decoded.Labels = release.OwnLabels(e.labels)
	return &Record{Key: e.key, Release: decoded, Labels: e.labels, UID: e.uid, ResourceVersion: e.version, store: s, entry: e}, nil
}

// maxReason bounds what is told of content that is not a release: its errors
// may quote it.
const maxReason = 200

func short(err error) error {
	if text := err.Error(); len(text) > maxReason {
		return errors.New(text[:maxReason] + "…")
	}
	return err
}
