// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// Concurrency is how many requests one action may have under way.
const Concurrency = 8

// Written is one object of a release and what became of it.
type Written struct {
	// Object as it was to be.
	Object *unstructured.Unstructured
	// Live object as the API server answered; nil if it was deleted or left out.
	Live *unstructured.Unstructured
	// Action is apply.Created, Configured or Deleted; empty if it was not written.
	Action apply.Action
}

// Create applies the objects, with nothing asked before: one request for each
// that nobody else has. Hooks are applied and not followed; what is no part of a
// release, such as a namespace for it, is created if it is not there. Objects of
// one kind that follow each other are written side by side. It returns what was
// written, also with an error.
func (c *Client) Create(objects []*unstructured.Unstructured, strict bool) ([]Written, error) {
	return c.write(objects, strict)
}

// Update applies the objects that are to be, as Create does, and then deletes
// those that were before and are not among them, unless their policy is to be
// kept or they belong to another release by now.
func (c *Client) Update(before, after []*unstructured.Unstructured, strict bool) ([]Written, error) {
	written, err := c.write(after, strict)
	if err != nil {
		return written, err
	}
	keep := inventoryOf(after)
	c.set.Retain(keep)
	var gone []*unstructured.Unstructured
	for _, obj := range before {
		if _, kept := keep[inventory.RefOf(obj)]; !kept {
			gone = append(gone, obj)
		}
	}
	deleted, err := c.prune(gone)
	return append(written, deleted...), err
}

// write applies objects in the order of their kinds.
func (c *Client) write(objects []*unstructured.Unstructured, strict bool) ([]Written, error) {
	defer c.Engine.Writing(c.set)()
	c.Engine.Judge(c.set, c.Checks) // what the watch sees from now on is judged so
	objects = Last(objects)
	written := make([]Written, 0, len(objects))
	for len(objects) > 0 {
		kind := objects[0].GetKind()
		n := slices.IndexFunc(objects, func(obj *unstructured.Unstructured) bool { return obj.GetKind() != kind })
		if n < 0 {
			n = len(objects)
		}
		batch, err := c.each(objects[:n], func(w *Written) error { return c.writeOne(w, strict) })
		written = append(written, batch...)
		if err == nil {
			err = c.established(objects[:n])
		}
		if err != nil {
			return written, err
		}
		objects = objects[n:]
	}
	return written, nil
}

// each does something with objects side by side. The errors are in the order of
// the objects: the first five, and how many more.
func (c *Client) each(objects []*unstructured.Unstructured, do func(*Written) error) ([]Written, error) {
	written, errs := make([]Written, len(objects)), make([]error, len(objects))
	var group errgroup.Group
	group.SetLimit(Concurrency)
	for i, obj := range objects {
		written[i].Object = obj
		group.Go(func() error {
			errs[i] = do(&written[i])
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is in errs
	return written, c.cause(apply.Join(errs))
}

// cause is why a request failed: once the action has ended, that and nothing
// else.
func (c *Client) cause(err error) error {
	if err != nil && c.context().Err() != nil {
		return context.Cause(c.context())
	}
	return err
}

func (c *Client) writeOne(w *Written, strict bool) error {
	var status int
	ctx := noting(c.context(), &status)
	var err error
	if w.Object.GetName() == "" || !isMember(w.Object) && !isHook(w.Object) {
		w.Live, err = c.createOne(ctx, w.Object, strict)
	} else {
		w.Live, err = c.applyOne(ctx, w.Object, strict)
	}
	if err != nil {
		return err
	}
	w.Action = apply.Configured
	if status == http.StatusCreated {
		w.Action = apply.Created
	}
	return nil
}

// createOne creates an object that is not there, or has no name yet.
func (c *Client) createOne(ctx context.Context, obj *unstructured.Unstructured, strict bool) (*unstructured.Unstructured, error) {
	resource, err := c.resource(obj)
	if err != nil {
		return nil, refused(obj, "create", err)
	}
	live, err := resource.Create(ctx, obj, metav1.CreateOptions{FieldManager: c.Manager(), FieldValidation: validation(strict)})
	if err != nil {
		return nil, refused(obj, "create", err)
	}
	return live, nil
}

// freshTimeout is how long the API server may take to serve a kind that it has
// just called established.
const freshTimeout = 10 * time.Second

func (c *Client) applyOne(ctx context.Context, obj *unstructured.Unstructured, strict bool) (*unstructured.Unstructured, error) {
	prepared, err := apply.PrepareVerbatim([]*unstructured.Unstructured{obj}, c.Owner, Labels(), Keys())
	if err != nil {
		return nil, err
	}
	desired := prepared[0]
	desired.FieldValidation = validation(strict)
	var live *unstructured.Unstructured
	send := func(ctx context.Context) (bool, error) {
		if isHook(obj) {
			live, err = c.client.Apply(ctx, desired)
		} else {
			live, err = c.Engine.Write(ctx, c.set, desired, c.client)
		}
		return !apierrors.IsNotFound(err) && !noKind(err) || !c.isFresh(desired.GVK.GroupKind()), nil
	}
	if gaveUp := wait.PollUntilContextTimeout(ctx, pollFresh, freshTimeout, true, send); err == nil {
		err = gaveUp
	}
	if refusal, ok := errors.AsType[*apply.ObjectError](err); ok {
		refusal.Advice = advice(obj)
	}
	return live, err
}

// pollFresh is how often a kind is tried that was only just defined.
const pollFresh = 50 * time.Millisecond

// advice is the way out of a change that the API server calls immutable.
func advice(obj *unstructured.Unstructured) string {
	if isHook(obj) {
		return "give the hook the delete policy before-hook-creation, or delete it"
	}
	return "delete the object to have it created anew, or replace it once with spec.upgrade.serverSideApply: disabled and spec.upgrade.force: true"
}

func refused(obj *unstructured.Unstructured, doing string, err error) error {
	return &apply.ObjectError{Ref: inventory.RefOf(obj), Doing: doing, Advice: advice(obj), Err: err}
}

func validation(strict bool) string {
	if strict {
		return metav1.FieldValidationStrict
	}
	return metav1.FieldValidationIgnore
}

// refresh notes the kinds that objects define.
func (c *Client) refresh(kind schema.GroupKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh[kind] = struct{}{}
}

func (c *Client) isFresh(kind schema.GroupKind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.fresh[kind]
	return ok
}

// Delete asks for the deletion of objects; one that is gone already counts as
// deleted. It goes on after an error.
func (c *Client) Delete(objects []*unstructured.Unstructured, propagation metav1.DeletionPropagation) ([]Written, error) {
	return c.each(objects, func(w *Written) error {
		return c.deleteOne(w, metav1.DeleteOptions{PropagationPolicy: &propagation})
	})
}

func (c *Client) deleteOne(w *Written, options metav1.DeleteOptions) error {
	resource, err := c.resource(w.Object)
	if noKind(err) {
		c.set.Drop(inventory.RefOf(w.Object))
		w.Action = apply.Deleted
		return nil // and so no object of it
	}
	if err == nil {
		err = resource.Delete(c.context(), w.Object.GetName(), options)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return refused(w.Object, "delete", err)
	}
	c.set.Drop(inventory.RefOf(w.Object))
	w.Action = apply.Deleted
	return nil
}

// prune deletes objects that are no part of the release any more.
func (c *Client) prune(objects []*unstructured.Unstructured) ([]Written, error) {
	background := metav1.DeletePropagationBackground
	return c.each(objects, func(w *Written) error {
		live, err := c.get(c.context(), w.Object)
		if err != nil || live == nil {
			return err
		}
		if reason := c.kept(live); reason != "" {
			c.Log.Info("object left where it is: "+reason, "object", inventory.RefOf(live).String())
			return nil
		}
		uid := live.GetUID()
		return c.deleteOne(w, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}})
	})
}

// kept says why a live object stays although the release has it no more.
func (c *Client) kept(live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name, namespace := annotations[releaseNameAnnotation], annotations[releaseNamespaceAnnotation]
	switch {
	case annotations[policyAnnotation] == policyKeep:
		return "its annotation " + policyAnnotation + " is " + policyKeep
	case name != "" && (name != c.Name || namespace != c.Namespace):
		return "it belongs to release " + namespace + "/" + name
	}
	return ""
}

// get reads a live object, nil if there is none.
func (c *Client) get(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := c.resource(obj)
	if noKind(err) {
		return nil, nil
	}
	var live *unstructured.Unstructured
	if err == nil {
		live, err = resource.Get(ctx, obj.GetName(), metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, refused(obj, "read", err)
	}
	return live, nil
}

// kindOf names a kind with its group.
func kindOf(obj *unstructured.Unstructured) string {
	return strings.TrimSuffix(obj.GroupVersionKind().GroupKind().String(), ".")
}
