// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
)

// Manager selects entries of managedFields: those of the operation whose
// manager begins with the prefix, or equals it if Exact, subresources
// excepted.
type Manager struct {
	Prefix    string
	Exact     bool
	Operation metav1.ManagedFieldsOperationType
}

// fieldsEntry is an entry of managedFields, decoded and not copied.
type fieldsEntry struct {
	manager, operation, subresource string
	fields                          map[string]any
}

func (e fieldsEntry) isApplyOf(manager string) bool {
	return e.manager == manager && e.operation == string(metav1.ManagedFieldsOperationApply) && e.subresource == ""
}

func (e fieldsEntry) matchesAny(managers []Manager) bool {
	return e.subresource == "" && slices.ContainsFunc(managers, func(m Manager) bool {
		if e.operation != string(m.Operation) {
			return false
		}
		if m.Exact {
			return e.manager == m.Prefix
		}
		return strings.HasPrefix(e.manager, m.Prefix)
	})
}

// managedFields yields the entries in the order of their managers, since the
// server may list them in any.
func managedFields(obj *unstructured.Unstructured) iter.Seq[fieldsEntry] {
	metadata, _ := obj.Object["metadata"].(map[string]any)
	list, _ := metadata["managedFields"].([]any)
	entries := make([]fieldsEntry, 0, len(list))
	for _, item := range list {
		raw, _ := item.(map[string]any)
		var e fieldsEntry
		e.manager, _ = raw["manager"].(string)
		e.operation, _ = raw["operation"].(string)
		e.subresource, _ = raw["subresource"].(string)
		e.fields, _ = raw["fieldsV1"].(map[string]any)
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b fieldsEntry) int {
		return strings.Compare(a.manager+"/"+a.operation, b.manager+"/"+b.operation)
	})
	return slices.Values(entries)
}

// HasClaims reports whether a manager that is to be taken over claims fields
// of obj beyond those that are left alone.
func HasClaims(obj *unstructured.Unstructured, managers Managers, exempt *exemption.Tree) bool {
	w := &walker{queued: health.InQueue(obj)}
	for entry := range managedFields(obj) {
		if !entry.isApplyOf(managers.Self) && entry.matchesAny(managers.TakeOver) && w.claimsMore(entry.fields, obj.Object, "", exempt) {
			return true
		}
	}
	return false
}

// TakesOver reports whether the fields of an entry are to become ours.
func (m Managers) TakesOver(entry metav1.ManagedFieldsEntry) bool {
	e := fieldsEntry{manager: entry.Manager, operation: string(entry.Operation), subresource: entry.Subresource}
	return !e.isApplyOf(m.Self) && e.matchesAny(m.TakeOver)
}

// Spared returns what of the claims of a manager that is taken over stays with
// it: the fields that HasClaims does not count, and the existence of what they
// are in.
func Spared(obj *unstructured.Unstructured, fields *fieldpath.Set, exempt *exemption.Tree) *fieldpath.Set {
	pointers := []exemption.Pointer{exemption.Of("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")}
	if health.InQueue(obj) {
		pointers = append(pointers, exemption.Of("spec", "suspend"), exemption.Of("spec", "runPolicy", "suspend"))
	}
	always, spared := exemption.NewTree(pointers), fieldpath.NewSet()
	fields.Iterate(func(path fieldpath.Path) {
		if always.Covers(path, obj.Object) || exempt.Covers(path, obj.Object) {
			for i := range path {
				if above := path[:i+1]; fields.Has(above) {
					spared.Insert(above.Copy())
				}
			}
		}
	})
	return spared
}
