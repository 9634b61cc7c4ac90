// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/watch"
)

// Fields that others set on some objects, whatever the owner's rules say.
var (
	replicas = exemption.Of("spec", "replicas")
	suspends = []exemption.Pointer{exemption.Of("spec", "suspend"), exemption.Of("spec", "runPolicy", "suspend")}
)

// mayLeave reports whether fields of d may have to be left as they are in the
// live object, which then has to be read before anything is sent.
func (e *Engine) mayLeave(set *Set, d *Desired) bool {
	return d.suspends || set.Rules().Version(d.GVK, keyOf(d.Ref)) != 0 || e.scaled(d.Ref)
}

// readForLeave reads the live object if fields of it may have to be left. It
// returns nil for one that does not exist.
func (e *Engine) readForLeave(ctx context.Context, client *Client, set *Set, d *Desired) (*unstructured.Unstructured, error) {
	if !e.mayLeave(set, d) {
		return nil, nil
	}
	live, err := client.Get(ctx, d.Ref, d.GVK.Version)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil, nil // what is sent will tell
	case err != nil:
		return nil, &ObjectError{Ref: d.Ref, Doing: "read", Err: err}
	}
	return live, nil
}

// sendable returns d as it is to be sent onto the live object: fields that are
// left to others have their live values, or are left out. It is bound to the
// version of the live object if it has such a value, so that a value which
// changes in between is not set back; a dry-run needs no such thing.
func (e *Engine) sendable(set *Set, d *Desired, live *unstructured.Unstructured, dryRun bool) ([]byte, error) {
	if live == nil || !e.mayLeave(set, d) {
		return d.data, nil
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(d.data); err != nil {
		return nil, fmt.Errorf("decode %s: %w", d.Ref, err)
	}
	pointers := e.left(set, d, united(obj, live), health.InQueue(live) || health.InQueue(obj))
	if len(pointers) == 0 {
		return d.data, nil
	}
	labels := obj.GetLabels()
	if leaveTo(obj, live, pointers, e.config.Watch.Managers.Self) && !dryRun {
		obj.SetResourceVersion(live.GetResourceVersion())
	}
	e.keepOwner(obj, labels)
	data, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", d.Ref, err)
	}
	return data, nil
}

// left returns the fields that are left to others in an object as it is to be:
// by the owner's rules, because an autoscaler targets it, or because it is in a
// queue.
func (e *Engine) left(set *Set, d *Desired, obj *unstructured.Unstructured, queued bool) []exemption.Pointer {
	pointers := set.Rules().Pointers(obj)
	if e.scaled(d.Ref) {
		pointers = append(pointers, replicas)
	}
	if d.suspends && queued {
		pointers = append(pointers, suspends...)
	}
	return pointers
}

// keepOwner puts back the owner's labels, without which the object would be
// lost to the watch and to pruning.
func (e *Engine) keepOwner(obj *unstructured.Unstructured, before map[string]string) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	for _, key := range []string{e.config.Watch.Labels.Name, e.config.Watch.Labels.Namespace} {
		labels[key] = before[key]
	}
	obj.SetLabels(labels)
}

// united has the marks of both objects, as an apply would leave them.
func united(desired, live *unstructured.Unstructured) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	out.SetGroupVersionKind(desired.GroupVersionKind())
	out.SetNamespace(desired.GetNamespace())
	out.SetName(desired.GetName())
	out.SetLabels(union(live.GetLabels(), desired.GetLabels()))
	out.SetAnnotations(union(live.GetAnnotations(), desired.GetAnnotations()))
	return out
}

func union(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// leaveTries is how often an apply that is bound to a version is repeated while
// others write the object at the same time.
const leaveTries = 10

// send applies d onto the live object, which is nil if there is none or if it
// was not needed. Fields that are left to others keep their values.
func (e *Engine) send(ctx context.Context, client *Client, set *Set, d *Desired, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	for try := 1; ; try++ {
		data, err := e.sendable(set, d, live, false)
		if err != nil {
			return nil, err
		}
		result, err := client.send(ctx, d, data, false)
		if !apierrors.IsConflict(err) || live == nil || try == leaveTries {
			return result, err
		}
		if live, err = client.Get(ctx, d.Ref, d.GVK.Version); apierrors.IsNotFound(err) {
			live, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// lookup returns the record of a live object, or nil if it does not exist or
// is not ours. Kinds that may not be watched, and objects whose record was made
// under other rules or by other expressions, are read under the tenant.
func (e *Engine) lookup(ctx context.Context, client *Client, set *Set, d *Desired) (*watch.Record, error) {
	watching := e.pool.Watching(d.GVK)
	if watching {
		record := e.pool.Get(d.GVK, keyOf(d.Ref))
		if record == nil || record.Owner != set.owner || set.upToDate(d, record) {
			return record, nil
		}
	}
	live, err := client.Get(ctx, d.Ref, d.GVK.Version)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Ref, err)
	}
	return e.pool.Renew(live), nil
}

// exempt are the fields of a live object that the owner's rules leave to
// others.
func (e *Engine) exempt(obj *unstructured.Unstructured, set *Set) *exemption.Tree {
	return exemption.NewTree(set.Rules().Pointers(obj))
}

// hasAny reports whether obj has a field at one of the pointers.
func hasAny(obj *unstructured.Unstructured, pointers []exemption.Pointer) bool {
	for _, pointer := range pointers {
		if _, found, err := unstructured.NestedFieldNoCopy(obj.Object, pointer...); found && err == nil {
			return true
		}
	}
	return false
}
