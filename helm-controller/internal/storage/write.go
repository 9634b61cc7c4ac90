// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// Create stores a release, given as JSON, with labels of its own. The error
// wraps ErrExists if there is such a record.
func (r *Records) Create(key string, document []byte, own map[string]string) (*Record, error) {
	stored, packed, err := r.prepare(key, document)
	if err != nil {
		return nil, err
	}
	defer r.index.write(r.namespace, key)()
	secret := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "type": recordType}}
	secret.SetName(key)
	secret.SetNamespace(r.namespace)
	secret.SetLabels(labelsOf(stored, own, map[string]string{"createdAt": now()}))
	setBody(secret, packed)
	written, err := r.secrets.Create(r.ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("%w: Secret '%s/%s'", ErrExists, r.namespace, key)
	}
	if err != nil {
		return nil, r.failed("create", "Secret '"+key+"'", err)
	}
	return r.written(written)
}

// Update replaces the release of a record. Keys of the stored JSON that this
// version of Helm's SDK does not know stay, and so does the rest of the Secret.
// The error wraps ErrNotFound if there is no such record, and ErrConflict if
// its release is not the one that these Records have shown or written last.
func (r *Records) Update(key string, document []byte, own map[string]string) (*Record, error) {
	return r.change(key, func(before *Record) ([]byte, map[string]string, error) {
		stored, err := before.JSON()
		if err != nil {
			return nil, nil, err
		}
		merged, err := preserve(stored, document)
		return merged, own, err
	})
}

// Mark gives a stored release another status and description and leaves all
// else. Errors are those of Update.
func (r *Records) Mark(key string, status release.Status, description string) (*Record, error) {
	return r.change(key, func(before *Record) ([]byte, map[string]string, error) {
		stored, err := before.JSON()
		if err != nil {
			return nil, nil, err
		}
		marked, err := mark(stored, status, description)
		return marked, before.Release.Labels, err
	})
}

// Delete removes a record and returns it. The error wraps ErrNotFound if there
// is none.
func (r *Records) Delete(key string) (*Record, error) {
	e, err := r.entry(key)
	if err != nil {
		return nil, err
	}
	record, err := r.store.record(e)
	if err != nil {
		return nil, r.unreadable(key, err)
	}
	defer r.index.write(r.namespace, key)()
	err = r.secrets.Delete(r.ctx, key, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &e.uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, r.failed("delete", "Secret '"+key+"'", err)
	}
	r.store.cache.remove(r.place(key))
	r.index.gone(r.namespace, key, e.uid)
	r.forget(key)
	return record, nil
}

// maxReplacements is how often a record is written again because its labels or
// annotations have changed meanwhile.
const maxReplacements = 5

// change replaces a record by what edit makes of it. If meanwhile something
// else of the Secret has changed than the release, that is no conflict.
func (r *Records) change(key string, edit func(before *Record) ([]byte, map[string]string, error)) (*Record, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, r.failed("update", "Secret '"+key+"'", err)
	}
	base, err := r.shown(key)
	if err != nil {
		return nil, err
	}
	before, err := r.store.record(base)
	if err != nil {
		return nil, r.unreadable(key, err)
	}
	document, own, err := edit(before)
	if err != nil {
		return nil, r.unreadable(key, err)
	}
	stored, packed, err := r.prepare(key, document)
	if err != nil {
		return nil, err
	}
	defer r.index.write(r.namespace, key)()
	for range maxReplacements {
		written, err := r.replace(base, stored, own, packed)
		switch {
		case err == nil:
			return r.written(written)
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("%w: Secret '%s/%s'", ErrNotFound, r.namespace, key)
		case !apierrors.IsConflict(err):
			return nil, r.failed("update", "Secret '"+key+"'", err)
		}
		live, err := r.fetch(key)
		if err != nil {
			return nil, err
		}
		if live == nil || live.uid != base.uid || !bytes.Equal(live.body, base.body) {
			break
		}
		base = live
	}
	return nil, fmt.Errorf("%w: Secret '%s/%s'", ErrConflict, r.namespace, key)
}

// replace writes a Secret if it is still as in base.
func (r *Records) replace(base *entry, stored *release.Release, own map[string]string, packed []byte) (*unstructured.Unstructured, error) {
	secret := &unstructured.Unstructured{}
	if err := json.Unmarshal(base.head, &secret.Object); err != nil {
		return nil, err
	}
	times := map[string]string{"modifiedAt": now()}
	if created := base.labels["createdAt"]; created != "" {
		times["createdAt"] = created
	}
	secret.SetLabels(labelsOf(stored, own, times))
	setBody(secret, packed)
	return r.secrets.Update(r.ctx, secret, metav1.UpdateOptions{})
}

// prepare checks and packs a document.
func (r *Records) prepare(key string, document []byte) (*release.Release, []byte, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, nil, r.failed("write", "Secret '"+key+"'", err)
	}
	stored, err := release.Decode(document)
	if err != nil {
		return nil, nil, fmt.Errorf("store a release in Secret '%s/%s': %w", r.namespace, key, short(err))
	}
	packed, err := r.store.codec.pack(document)
	if err != nil {
		return nil, nil, fmt.Errorf("compress the release for Secret '%s/%s': %w", r.namespace, key, err)
	}
	if size := (len(packed) + 2) / 3 * 4; size > maxRecord {
		return nil, nil, &TooLargeError{Release: fmt.Sprintf("%s/%s.v%d", stored.Namespace, stored.Name, stored.Version), Chart: stored.Chart.Name + "@" + stored.Chart.Version, Size: size}
	}
	return stored, packed, nil
}

// TooLargeError says that a release does not fit into a Secret.
type TooLargeError struct {
	// Release as namespace/name.vN, and Chart as name@version.
	Release, Chart string
	// Size of the record in bytes.
	Size int
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("release %s with chart %s cannot be stored: its record has %d KiB and a Secret holds %d KiB; "+
		"take out of the chart what no template needs (.helmignore), or split it", e.Release, e.Chart, e.Size>>10, maxRecord>>10)
}

// written keeps what the API server answered to a write.
func (r *Records) written(secret *unstructured.Unstructured) (*Record, error) {
	e := entryOf(secret)
	r.store.cache.put(r.place(e.key), e)
	r.index.wrote(r.namespace, e)
	r.show(e)
	record, err := r.store.record(e)
	if err != nil {
		return nil, r.unreadable(e.key, err)
	}
	return record, nil
}

// labelsOf returns the labels of a record: the release's own, those that Helm
// sets, and the times.
func labelsOf(stored *release.Release, own, times map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, release.OwnLabels(own))
	maps.Copy(all, map[string]string{
		nameLabel: stored.Name, ownerLabel: owner, "status": string(stored.Status), "version": strconv.Itoa(stored.Version),
	})
	maps.Copy(all, times)
	return all
}

func setBody(secret *unstructured.Unstructured, packed []byte) {
	secret.Object["data"] = map[string]any{dataKey: toText([]byte(toText(packed)))}
}

// now is a time as Helm labels its records with.
func now() string { return strconv.FormatInt(time.Now().Unix(), 10) }
