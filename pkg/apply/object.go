// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/fluxcd/pkg/ssa/normalize"
	ssautils "github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Policy says how an object wants to be applied.
type Policy int

const (
	// Override applies the object and takes fields over from other clients.
	Override Policy = iota
	// Merge applies the object and leaves the fields of others alone.
	Merge
	// IfNotPresent creates the object and never touches it again.
	IfNotPresent
	// Ignore neither applies nor prunes the object.
	Ignore
)

// Keys are the labels or annotations by which an object says how it wants to
// be treated. An empty key is never looked up.
type Keys struct {
	// Reconcile with "disabled" leaves the object alone altogether.
	Reconcile string
	// Prune with "disabled" keeps the object from being deleted.
	Prune string
	// Policy with "Merge", "IfNotPresent" or "Ignore".
	Policy string
	// Force with "enabled" recreates the object if a change is immutable.
	Force string
}

// Desired is one object as it is to be, ready to be sent.
type Desired struct {
	Ref    inventory.Ref
	GVK    schema.GroupVersionKind
	Object *unstructured.Unstructured
	// Digest is the SHA-256 of the object as JSON, in hex. It is the same
	// in every process.
	Digest string
	// Policy of the object itself.
	Policy Policy
	// Force recreation for this object.
	Force bool
	// Left is set if the object asks to be left alone.
	Left bool
	// Origin is where the object comes from, such as a file with a line, for
	// errors about it. It is empty if that is not known; Prepare leaves it so.
	Origin string
	// FieldValidation is what the API server does about fields that it does
	// not know: Ignore, Warn or Strict. Empty: Warn, as it does by itself.
	FieldValidation string

	// suspends is set if the object has a field that Kueue would set.
	suspends bool
	// fields of an object whose data are not kept.
	fields *fieldpath.Set
	data   []byte
	stage  stage
}

// Prepare normalises objects, marks them with the owner's labels and sorts
// them into the order of their stages. It changes the objects. Errors name the
// object.
func Prepare(objects []*unstructured.Unstructured, owner types.NamespacedName, labels watch.Labels, keys Keys) ([]*Desired, error) {
	return prepareAll(objects, owner, labels, keys, func(obj *unstructured.Unstructured) error {
		ssautils.RemoveCABundleFromCRD(obj)
		return normalize.Unstructured(obj)
	})
}

// PrepareVerbatim is Prepare for objects that are to be sent as they are, fields
// that are unknown here included, so that the API server says what it thinks of
// them. Only the plain texts of a Secret become its data: claims on both would be
// at odds.
func PrepareVerbatim(objects []*unstructured.Unstructured, owner types.NamespacedName, labels watch.Labels, keys Keys) ([]*Desired, error) {
	return prepareAll(objects, owner, labels, keys, tidy)
}

func prepareAll(objects []*unstructured.Unstructured, owner types.NamespacedName, labels watch.Labels, keys Keys, normalise func(*unstructured.Unstructured) error) ([]*Desired, error) {
	desired := make([]*Desired, 0, len(objects))
	seen := make(map[inventory.Ref]struct{}, len(objects))
	for _, obj := range objects {
		ref := inventory.RefOf(obj)
		if _, twice := seen[ref]; twice {
			return nil, fmt.Errorf("%s is declared twice", ref)
		}
		seen[ref] = struct{}{}
		if err := normalise(obj); err != nil {
			return nil, fmt.Errorf("%s is not a valid object: %w", ref, err)
		}
		d, err := prepare(obj, ref, owner, labels, keys)
		if err != nil {
			return nil, err
		}
		desired = append(desired, d)
	}
	sortByStage(desired)
	return desired, nil
}

func prepare(obj *unstructured.Unstructured, ref inventory.Ref, owner types.NamespacedName, labels watch.Labels, keys Keys) (*Desired, error) {
	own := obj.GetLabels()
	if own == nil {
		own = make(map[string]string, 2)
	}
	own[labels.Name], own[labels.Namespace] = owner.Name, owner.Namespace
	obj.SetLabels(own)

	data, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", ref, err)
	}
	sum := sha256.Sum256(data)
	return &Desired{
		Ref:    ref,
		GVK:    obj.GroupVersionKind(),
		Object: obj,
		Digest: hex.EncodeToString(sum[:]),
		Policy: policyOf(obj, keys.Policy),
		Force:  watch.HasMark(obj, keys.force()...),
		Left:   watch.HasMark(obj, keys.leave()...),

		suspends: hasAny(obj, suspends),
		data:     data,
		stage:    stageOf(obj.GroupVersionKind().GroupKind()),
	}, nil
}

// tidy makes an object fit to be applied.
func tidy(obj *unstructured.Unstructured) error {
	for _, field := range []string{"managedFields", "creationTimestamp"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	if gk := obj.GroupVersionKind().GroupKind(); gk.Kind != "Secret" || gk.Group != "" {
		return nil
	}
	plain, ok := obj.Object["stringData"].(map[string]any)
	if !ok {
		return nil // there is none, or the API server has to say what is wrong with it
	}
	data, _ := obj.Object["data"].(map[string]any)
	merged := make(map[string]any, len(plain)+len(data))
	maps.Copy(merged, data)
	for key, value := range plain {
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("stringData.%s is no string", key) // without the value
		}
		merged[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	obj.Object["data"] = merged
	delete(obj.Object, "stringData")
	return nil
}

func policyOf(obj *unstructured.Unstructured, key string) Policy {
	switch {
	case watch.HasMark(obj, watch.Mark{Key: key, Value: "Merge"}):
		return Merge
	case watch.HasMark(obj, watch.Mark{Key: key, Value: "IfNotPresent"}):
		return IfNotPresent
	case watch.HasMark(obj, watch.Mark{Key: key, Value: "Ignore"}):
		return Ignore
	}
	return Override
}

// leave are the marks of an object that is neither applied nor pruned.
func (k Keys) leave() []watch.Mark {
	return []watch.Mark{{Key: k.Reconcile, Value: "disabled"}, {Key: k.Policy, Value: "Ignore"}}
}

// keep are the marks of an object that is not pruned.
func (k Keys) keep() []watch.Mark {
	return append(k.leave(), watch.Mark{Key: k.Prune, Value: "disabled"})
}

// merge are the marks of an object on which others keep what they claim.
func (k Keys) merge() []watch.Mark { return []watch.Mark{{Key: k.Policy, Value: "Merge"}} }

// force are the marks of an object that may be deleted and created anew.
func (k Keys) force() []watch.Mark { return []watch.Mark{{Key: k.Force, Value: "enabled"}} }

func keyOf(ref inventory.Ref) types.NamespacedName {
	return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
}
