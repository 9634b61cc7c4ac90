// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gitops/weir/pkg/exemption"
)

// claims are what the managers of an object claim at one place in it.
type claims struct {
	ours, applied, updated []map[string]any
}

// claimsOf returns the managedFields entries of applies, ours and others'.
func claimsOf(obj *unstructured.Unstructured, self string) claims {
	var all claims
	for _, entry := range obj.GetManagedFields() {
		if entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		fields := decodeFields(entry)
		switch {
		case entry.Manager == self && entry.Operation == metav1.ManagedFieldsOperationApply:
			all.ours = append(all.ours, fields)
		case entry.Operation == metav1.ManagedFieldsOperationApply:
			all.applied = append(all.applied, fields)
		default:
			all.updated = append(all.updated, fields)
		}
	}
	return all
}

func decodeFields(entry metav1.ManagedFieldsEntry) map[string]any {
	var fields map[string]any
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return nil
	}
	return fields
}

// below follows a key of managedFields.
func (c claims) below(key string) claims {
	return claims{follow(c.ours, key), follow(c.applied, key), follow(c.updated, key)}
}

func follow(entries []map[string]any, key string) (out []map[string]any) {
	for _, fields := range entries {
		if inner, ok := fields[key].(map[string]any); ok {
			out = append(out, inner)
		}
	}
	return out
}

// itemKey returns the key by which managers call an item of a list, or "" if
// the list is one value to all of them.
func (c claims) itemKey(list []any, index int) string {
	for _, fields := range slices.Concat(c.ours, c.applied, c.updated) {
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if name, ok := strings.CutPrefix(key, "k:"); ok && exemption.Find(list, name) == index {
				return key
			}
		}
	}
	return ""
}

// leaveTo makes obj leave the fields at pointers of the live object as they
// are: out goes what another manager has applied, or what the live object does
// not have; in comes the live value of everything else that obj sets, or that
// would go because only we had set it. It reports whether obj has live values.
func leaveTo(obj, live *unstructured.Unstructured, pointers []exemption.Pointer, self string) bool {
	a := adoption{}
	all := claimsOf(live, self)
	for _, pointer := range pointers {
		for _, reachable := range withinReach(pointer) {
			a.follow(obj.Object, live.Object, reachable, all)
		}
	}
	return a.adopted
}

// withinReach narrows a pointer to what an apply can set: of metadata, the
// maps, and of the rest everything but identity and status.
func withinReach(pointer exemption.Pointer) []exemption.Pointer {
	switch pointer[0] {
	case "apiVersion", "kind", "status":
		return nil
	case "metadata":
		if len(pointer) == 1 {
			return []exemption.Pointer{exemption.Of("metadata", "labels"), exemption.Of("metadata", "annotations")}
		}
		if pointer[1] != "labels" && pointer[1] != "annotations" {
			return nil
		}
	}
	return []exemption.Pointer{pointer}
}

// adoption makes one object leave fields of another.
type adoption struct {
	// adopted is set if a live value is to be sent.
	adopted bool
}

// follow goes down the pointer, in the object to be sent and in the live one
// at once, and settles what is at its end. It returns what becomes of desired:
// nil if it is to be left out.
func (a *adoption) follow(desired, live any, pointer exemption.Pointer, c claims) any {
	if len(pointer) == 0 {
		return a.settle(desired, live, c)
	}
	switch l := live.(type) {
	case map[string]any:
		return a.followField(desired, l, pointer, c)
	case []any:
		return a.followItem(desired, l, pointer, c)
	}
	return desired
}

func (a *adoption) followField(desired any, live map[string]any, pointer exemption.Pointer, c claims) any {
	d, isMap := desired.(map[string]any)
	if !isMap && desired != nil {
		return desired
	}
	name := pointer[0]
	var inner any
	if d != nil {
		inner = d[name]
	}
	value, has := live[name]
	if !has {
		value = nil
	}
	result := a.follow(inner, value, pointer[1:], c.below("f:"+name))
	if value == nil && len(pointer) > 1 {
		result = a.strip(inner, pointer[1:])
	}
	switch {
	case result == nil && d == nil:
		return nil
	case result == nil:
		_, had := d[name]
		delete(d, name)
		if had && len(d) == 0 {
			return nil
		}
		return d
	case d == nil:
		return map[string]any{name: result}
	}
	d[name] = result
	return d
}

// strip takes out of desired what the live object has no place for.
func (a *adoption) strip(desired any, pointer exemption.Pointer) any {
	if len(pointer) == 0 {
		return nil
	}
	d, ok := desired.(map[string]any)
	if !ok {
		return desired
	}
	inner, has := d[pointer[0]]
	if !has {
		return desired
	}
	if rest := a.strip(inner, pointer[1:]); rest != nil {
		d[pointer[0]] = rest
		return d
	}
	delete(d, pointer[0])
	if len(d) == 0 {
		return nil
	}
	return d
}

// followItem takes the index as that of the live list, and finds the same item
// in the list to be sent.
func (a *adoption) followItem(desired any, live []any, pointer exemption.Pointer, c claims) any {
	list, ok := desired.([]any)
	index, err := strconv.Atoi(pointer[0])
	if !ok || err != nil || index < 0 || index >= len(live) {
		return desired
	}
	key, same := c.itemKey(live, index), index
	if key != "" {
		same = exemption.Find(list, strings.TrimPrefix(key, "k:"))
	}
	if same < 0 || same >= len(list) {
		return desired
	}
	result := a.follow(list[same], live[index], pointer[1:], c.below(key))
	if result == nil {
		return slices.Delete(list, same, same+1)
	}
	list[same] = result
	return list
}

// settle decides what is sent at the end of a pointer.
func (a *adoption) settle(desired, live any, c claims) any {
	fields, isMap := live.(map[string]any)
	_, isList := live.([]any)
	foreign, shared := len(c.applied) > 0, len(c.ours) > 0
	switch {
	case live == nil:
		return nil
	case foreign && shared && isMap:
		return a.settleEach(desired, fields, c)
	case foreign && !(shared && isList):
		return nil
	case desired == nil && (!shared || len(c.updated) > 0):
		return nil // not ours alone, and so not lost
	}
	a.adopted = true
	if equality.Semantic.DeepEqual(desired, live) {
		return desired
	}
	return runtime.DeepCopyJSONValue(live)
}

// settleEach decides field by field where several managers have applied some.
func (a *adoption) settleEach(desired any, live map[string]any, c claims) any {
	d, _ := desired.(map[string]any)
	out := map[string]any{}
	for name, value := range live {
		if result := a.settle(d[name], value, c.below("f:"+name)); result != nil {
			out[name] = result
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
