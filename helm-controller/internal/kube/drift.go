// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Released is a release as it is stored.
type Released struct {
	Name, Namespace string
	Version         int
	Manifest        string
}

// DriftOptions say what to look at, as whom, and what becomes of what differs.
type DriftOptions struct {
	// Engine of the cluster, and Client that acts as the tenant there.
	Engine *apply.Engine
	Client *apply.Client
	Owner  types.NamespacedName
	UID    types.UID
	// Mode of spec.driftDetection; empty is disabled.
	Mode meta.DriftMode
	// Ignore are the compiled ignore rules.
	Ignore *exemption.Rules
	// Insist puts contested paths back as well, and looks again at what was found
	// to differ: once per interval.
	Insist bool
	// Released is the latest release.
	Released Released
}

// Drifted is what Look has found, and done about it.
type Drifted struct {
	// Corrected objects, if the mode is enabled.
	Corrected []apply.Correction
	// Contested paths were not put back, since others set them again and again.
	Contested []apply.Contested
	// Found are the objects that differ, with paths, if the mode is warn.
	Found []apply.Difference
	// Unwatched are kinds that may not be watched; their objects are read at every
	// look.
	Unwatched []string
	// Recheck is when to look again although no change may be told of; zero for
	// never.
	Recheck time.Duration
}

// Drift looks for changes that others make to the objects of one release. The
// zero value is ready for use, by one goroutine and while no action is under way.
//
// The engine wakes the owner within a second of a change; a look then costs one
// or two requests for each object that has changed. The first look after a
// restart costs one dry-run for each object, and any other nothing.
type Drift struct {
	engine *apply.Engine
	looked [sha256.Size]byte
}

// Reset has the next look begin with the release as it is stored. Call it when an
// action has ended. Objects that the action has applied cost no request.
func (d *Drift) Reset() { d.engine = nil }

// unwatchedInterval is how often objects are read that may not be watched.
const unwatchedInterval = 10 * time.Second

// stageTimeout bounds waits within a correction.
const stageTimeout = 30 * time.Second

// Look finds what differs from the release and, as the mode says, puts it back or
// tells of it. With the mode disabled it ends all watches of the owner and drops
// what is known of its objects. Hooks are never looked at, nor are objects that
// are marked as excluded from drift detection.
func (d *Drift) Look(ctx context.Context, o DriftOptions) (Drifted, error) {
	var out Drifted
	if o.Mode == "" || o.Mode == meta.DriftDisabled {
		d.Reset()
		return out, o.Engine.Forget(ctx, o.Owner)
	}
	set := o.Engine.Set(o.Owner, o.UID)
	set.Exempt(o.Ignore)
	set.Tolerate(o.Mode != meta.DriftEnabled)
	if err := d.begin(ctx, set, o); err != nil {
		return out, err
	}
	if out.Unwatched = o.Engine.Unwatched(set); len(out.Unwatched) > 0 {
		out.Recheck = unwatchedInterval
	}
	refs, err := o.Engine.Drifted(ctx, set, o.Client)
	if err != nil || len(refs) == 0 {
		return out, err
	}
	options := apply.Options{Client: o.Client, Insist: o.Insist, StageTimeout: stageTimeout}
	if o.Mode == meta.DriftWarn {
		out.Found, err = o.Engine.Inspect(ctx, set, refs, options)
		return out, err
	}
	drift, err := o.Engine.Correct(ctx, set, refs, options)
	out.Corrected, out.Contested = drift.Corrected, drift.Contested
	if err == nil && drift.Stale {
		var more []apply.Correction
		more, err = d.rebuild(ctx, set, refs, o)
		out.Corrected = append(out.Corrected, more...)
	}
	return out, advise(err)
}

// begin has the objects of the release followed. What is known of them from an
// action in this process holds; of others a dry-run tells how they are to be.
func (d *Drift) begin(ctx context.Context, set *apply.Set, o DriftOptions) error {
	r := o.Released
	key := sha256.Sum256(fmt.Appendf(nil, "%s/%s v%d of %s %s\n%s", r.Namespace, r.Name, r.Version, o.Owner, o.UID, r.Manifest))
	if d.engine == o.Engine && d.looked == key && set.Known() {
		return nil
	}
	objects, err := o.objects()
	if err != nil {
		return err
	}
	inv := inventoryOf(objects)
	desired, err := apply.PrepareVerbatim(objects, o.Owner, Labels(), Keys())
	if err != nil {
		return err
	}
	if err := o.Engine.Watch(ctx, set, inv, nil); err != nil {
		return fmt.Errorf("watch the objects of the release: %w", err)
	}
	set.Retain(inv)
	if _, err := o.Engine.Apply(ctx, set, desired, apply.Options{Client: o.Client, Hold: true, Indulge: true, StageTimeout: stageTimeout}); err != nil {
		return fmt.Errorf("compare the release with the cluster: %w", advise(err))
	}
	d.engine, d.looked = o.Engine, key
	return nil
}

// objects are those of the release as Helm writes them.
func (o *DriftOptions) objects() ([]*unstructured.Unstructured, error) {
	objects, err := members(o.Released.Manifest)
	if err != nil {
		return nil, err
	}
	for _, obj := range objects {
		if _, err := Locate(o.Client.Mapper, obj, o.Released.Namespace); err != nil && !noKind(err) {
			return nil, refused(obj, "find", err)
		}
		own(obj, o.Released.Name, o.Released.Namespace)
	}
	return Last(objects), nil
}

// rebuild puts back objects whose content is not kept in memory, which are
// Secrets.
func (d *Drift) rebuild(ctx context.Context, set *apply.Set, drifted []inventory.Ref, o DriftOptions) ([]apply.Correction, error) {
	objects, err := o.objects()
	if err != nil {
		return nil, err
	}
	objects = slices.DeleteFunc(objects, func(obj *unstructured.Unstructured) bool {
		return obj.GetKind() != "Secret" || !slices.Contains(drifted, inventory.RefOf(obj))
	})
	desired, err := apply.PrepareVerbatim(objects, o.Owner, Labels(), Keys())
	if err != nil {
		return nil, err
	}
	changes, err := o.Engine.Apply(ctx, set, desired, apply.Options{Client: o.Client, StageTimeout: stageTimeout})
	var corrected []apply.Correction
	for _, change := range changes {
		if change.Action == apply.Created || change.Action == apply.Configured {
			corrected = append(corrected, apply.Correction{Ref: change.Ref, Created: change.Action == apply.Created})
		}
	}
	return corrected, err
}

// advise names the way out of a change that cannot be put back.
func advise(err error) error {
	if refusal, ok := errors.AsType[*apply.ObjectError](err); ok {
		refusal.Advice = "delete the object to have it created anew"
	}
	return err
}
