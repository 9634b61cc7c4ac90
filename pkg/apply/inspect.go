// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/weir-gitops/weir/pkg/apply/diff"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/watch"
)

// inspection is what was found of a drifted member. It holds while the live
// object is what it was.
type inspection struct {
	gone  bool
	owned watch.Owned
	// found is nil if the member does not differ in anything but whose
	// fields it has.
	found *Difference
}

// Inspect tells how members that Drifted has returned differ from what was
// applied, and writes nothing: Created is an object that is gone, Recreated one
// that could not be put back as it is. A second call asks only about objects
// that have changed since; a value that is put back by whoever changed it is no
// change to it, unless the options insist. Of Secrets, whose desired state is not kept, fields
// are named by who claims them.
func (e *Engine) Inspect(ctx context.Context, set *Set, drifted []inventory.Ref, opts Options) ([]Difference, error) {
	var differences []Difference
	var errs []error
	for _, ref := range drifted {
		m := set.get(ref)
		if m == nil {
			continue
		}
		found, err := e.inspect(ctx, set, m, opts)
		switch {
		case err != nil:
			errs = append(errs, err)
		case found != nil:
			differences = append(differences, *found)
		}
	}
	return differences, joinErrors(errs)
}

func (e *Engine) inspect(ctx context.Context, set *Set, m *member, opts Options) (*Difference, error) {
	record, err := e.lookup(ctx, opts.Client, set, &m.desired)
	if err != nil {
		return nil, err
	}
	now := inspection{gone: record == nil}
	if record != nil {
		now.owned = record.Owned
	}
	if before := m.inspected; before != nil && !opts.Insist && before.gone == now.gone && before.owned == now.owned {
		return before.found, nil
	}
	live, err := opts.Client.Get(ctx, m.desired.Ref, m.desired.GVK.Version)
	switch {
	case apierrors.IsNotFound(err):
		if opts.Completed == nil || !opts.Completed(m.desired.Ref, m.desired.Digest) {
			now.found = &Difference{Ref: m.desired.Ref, Action: Created}
		}
	case err != nil:
		return nil, &ObjectError{Ref: m.desired.Ref, Doing: "read", Origin: m.desired.Origin, Err: err}
	default:
		if now.found, err = e.differs(ctx, set, m, live, opts); err != nil {
			return nil, err
		}
	}
	m.inspected = &now
	return now.found, nil
}

// differs finds the fields in which a live object is not as it is wanted.
func (e *Engine) differs(ctx context.Context, set *Set, m *member, live *unstructured.Unstructured, opts Options) (*Difference, error) {
	d := &m.desired
	if m.matches(e.pool.Record(live), e.scaled(d.Ref)) && e.labelled(live, set) {
		return nil, nil // the event was late, or it is already undone
	}
	found, after := &Difference{Ref: d.Ref, Action: Configured}, live
	if d.data == nil {
		found.Paths = e.lost(set, d, live)
	} else {
		data, err := e.sendable(set, d, live, true)
		if err != nil {
			return nil, err
		}
		outcome, err := opts.Client.send(ctx, d, data, true)
		switch {
		case err == nil:
			found.Paths, found.Omitted = diff.Paths(live, outcome)
			after = outcome
		case immutable(err):
			found.Action = Recreated
		default:
			return nil, &ObjectError{Ref: d.Ref, Doing: "dry-run", Origin: d.Origin, Err: err}
		}
	}
	if d.Policy != Merge && !watch.HasMark(live, e.config.Keys.merge()...) {
		found.Paths, found.Omitted = mergePaths(found.Paths, found.Omitted, e.surplus(set, d, after))
	}
	if len(found.Paths) == 0 && found.Action == Configured {
		return nil, nil
	}
	return found, nil
}

// lost are the fields that were applied and that we do not own any more: others
// have set or removed them.
func (e *Engine) lost(set *Set, d *Desired, live *unstructured.Unstructured) []string {
	if d.fields == nil {
		return nil
	}
	exempt := exemption.NewTree(e.left(set, d, live, false))
	return format(without(d.fields.Difference(claimed(live, e.config.Watch.Managers.Self)), func(path fieldpath.Path) bool {
		return exempt.Covers(path, live.Object)
	}))
}

// surplus are the fields of managers that are taken over which an apply would
// remove.
func (e *Engine) surplus(set *Set, d *Desired, obj *unstructured.Unstructured) []string {
	paths := dropped(obj, e.config.Watch.Managers, e.exempt(obj, set))
	if d.fields == nil {
		return paths
	}
	wanted := format(d.fields)
	return slices.DeleteFunc(paths, func(path string) bool { return slices.Contains(wanted, path) })
}

func format(fields *fieldpath.Set) []string {
	var paths []string
	fields.Leaves().Iterate(func(path fieldpath.Path) { paths = append(paths, diff.Format(path)) })
	slices.Sort(paths)
	return paths
}

// fieldsOf returns the fields of an object without lists, such as a Secret.
func fieldsOf(obj *unstructured.Unstructured) *fieldpath.Set {
	fields := fieldpath.NewSet()
	var walk func(value any, path fieldpath.Path)
	walk = func(value any, path fieldpath.Path) {
		object, ok := value.(map[string]any)
		if !ok || len(object) == 0 {
			fields.Insert(path.Copy())
			return
		}
		for name, inner := range object {
			walk(inner, append(slices.Clip(path), fieldpath.FieldNameElement(name)))
		}
	}
	for name, value := range obj.Object {
		switch name {
		case "apiVersion", "kind", "metadata", "status":
		default:
			walk(value, fieldpath.Path{fieldpath.FieldNameElement(name)})
		}
	}
	for kind, marks := range map[string]map[string]string{"labels": obj.GetLabels(), "annotations": obj.GetAnnotations()} {
		for name := range marks {
			fields.Insert(fieldpath.MakePathOrDie("metadata", kind, name))
		}
	}
	return fields
}
