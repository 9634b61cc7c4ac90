// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/health"
)

// Record is what is kept of a live object: a few hundred bytes instead of the
// object. Nobody may change it.
type Record struct {
	// Namespace, Name and UID of the object.
	Namespace, Name string
	UID             types.UID
	// Owner is the applier that the object's labels name.
	Owner types.NamespacedName
	// Owned is the fingerprint of what is ours of it.
	Owned Owned
	// Health as of this version of the object.
	Health health.Result
	// Judge identifies the expressions by which the health was computed;
	// empty for none.
	Judge string
	// Available is how many replicas serve, of kinds that count them.
	Available int64
	// Left is set while the object asks to be left alone.
	Left bool
	// Merges is set while the object asks that the claims of other managers
	// be kept.
	Merges bool
	// Deleting is set once somebody has asked for its deletion.
	Deleting bool
	// Demand is what the object asks for in devices.
	Demand Demand
}

// Labels are the names of the two labels that tell whose object it is.
type Labels struct {
	Name, Namespace string
}

// Mark is a label or annotation with a value, in any case of letters, by which
// an object says how it wants to be treated.
type Mark struct {
	Key, Value string
}

// HasMark reports whether obj has one of the marks. A mark without a key is
// never there.
func HasMark(obj metav1.Object, marks ...Mark) bool {
	own, annotations := obj.GetLabels(), obj.GetAnnotations()
	return slices.ContainsFunc(marks, func(mark Mark) bool {
		return mark.Key != "" && (strings.EqualFold(own[mark.Key], mark.Value) || strings.EqualFold(annotations[mark.Key], mark.Value))
	})
}

// recorder turns live objects into records.
type recorder struct {
	labels   Labels
	managers Managers
	// leave are the marks that ask to be left alone, merge those that ask
	// to keep the claims of others.
	leave, merge []Mark
	// rules of an owner, nil if there are none for anybody.
	rules func(owner types.NamespacedName) *exemption.Rules
	// checks returns the expressions of an owner, nil for none.
	checks func(owner types.NamespacedName) *health.Checks
	// kinds tell what an object asks for in devices.
	kinds func() *gpu.Kinds
}

func (r *recorder) record(obj *unstructured.Unstructured) Record {
	own := obj.GetLabels()
	owner := types.NamespacedName{
		Namespace: strings.Clone(own[r.labels.Namespace]),
		Name:      strings.Clone(own[r.labels.Name]),
	}
	checks := r.checks(owner)
	available, _, _ := unstructured.NestedInt64(obj.Object, "status", "availableReplicas")
	record := Record{
		// The strings are cloned: they would keep the whole response of
		// the API server in memory.
		Namespace: strings.Clone(obj.GetNamespace()),
		Name:      strings.Clone(obj.GetName()),
		UID:       types.UID(strings.Clone(string(obj.GetUID()))),
		Owner:     owner,
		Health:    checks.Of(obj),
		Judge:     checks.ID(obj.GroupVersionKind().GroupKind()),
		Available: available,
		Left:      HasMark(obj, r.leave...),
		Merges:    HasMark(obj, r.merge...),
		Deleting:  obj.GetDeletionTimestamp() != nil,
		Demand:    demandOf(r.kinds(), obj),
	}
	record.Owned = r.owned(obj, &record)
	return record
}

func (r *recorder) owned(obj *unstructured.Unstructured, record *Record) Owned {
	managers := r.managers
	if record.Merges {
		managers.TakeOver = nil
	}
	if r.rules == nil {
		return Fingerprint(obj, managers, nil)
	}
	rules := r.rules(record.Owner)
	owned := Fingerprint(obj, managers, exemption.NewTree(rules.Pointers(obj)))
	owned.Rules = rules.Version(obj.GroupVersionKind(), keyOf(obj))
	return owned
}

// judgedBy is a recorder that judges every object by the same expressions.
func (r *recorder) judgedBy(checks *health.Checks) *recorder {
	fixed := *r
	fixed.checks = func(types.NamespacedName) *health.Checks { return checks }
	return &fixed
}
