// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// PlatformNamespace is where the example keeps its GitRepository and its
// Kustomizations.
const PlatformNamespace = "llm-platform"

// pollInterval is how often Await looks.
const pollInterval = 50 * time.Millisecond

// GitRepositories is the kind that a source is.
var GitRepositories = schema.GroupVersionResource{Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "gitrepositories"}

// Kustomizations is the kind of what is applied.
var Kustomizations = kustomizev1.GroupVersion.WithResource("kustomizations")

// Await repeats check until it returns nil. If ctx ends before, the error is
// the last one that check returned, and why ctx ended.
func Await(ctx context.Context, check func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		// A check that was cut short says nothing about what it looked at.
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return errors.Join(last, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Resource is the client for one kind, in all namespaces unless one is chosen.
func (p *Platform) Resource(kind schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return p.client.Resource(kind)
}

// Kustomization returns one of the example's Kustomizations.
func (p *Platform) Kustomization(ctx context.Context, name string) (*kustomizev1.Kustomization, error) {
	object, err := p.client.Resource(Kustomizations).Namespace(PlatformNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	k := &kustomizev1.Kustomization{}
	return k, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, k)
}

// Kustomizations returns all of the example's Kustomizations, by name.
func (p *Platform) Kustomizations(ctx context.Context) ([]kustomizev1.Kustomization, error) {
	list, err := p.client.Resource(Kustomizations).Namespace(PlatformNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := make([]kustomizev1.Kustomization, len(list.Items))
	for i := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Applied returns nil if every Kustomization is Ready at a commit, and
// otherwise what is not and why.
func (p *Platform) Applied(ctx context.Context, commit string) error {
	all, err := p.Kustomizations(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("there are no Kustomizations")
	}
	var errs []error
	for i := range all {
		errs = append(errs, Holds(&all[i], commit))
	}
	return errors.Join(errs...)
}

// Holds returns nil if a Kustomization is Ready at a commit, and otherwise why
// it is not.
func Holds(k *kustomizev1.Kustomization, commit string) error {
	ready := meta.FindStatusCondition(k.Status.Conditions, kustomizev1.ReadyCondition)
	switch {
	case ready == nil || ready.ObservedGeneration != k.Generation:
		return fmt.Errorf("the Kustomization %s has not been reconciled", k.Name)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("the Kustomization %s is not ready: %s: %s", k.Name, ready.Reason, ready.Message)
	case k.Status.LastAppliedRevision != Revision(commit):
		return fmt.Errorf("the Kustomization %s is at revision %s", k.Name, k.Status.LastAppliedRevision)
	}
	return nil
}

// Inventory returns what a Kustomization says that it has applied.
func Inventory(k *kustomizev1.Kustomization) (inventory.Inventory, error) {
	inv := inventory.Inventory{}
	if k.Status.Inventory == nil {
		return inv, nil
	}
	for _, entry := range k.Status.Inventory.Entries {
		ref, err := inventory.Parse(entry.ID)
		if err != nil {
			return nil, fmt.Errorf("inventory of the Kustomization %s: %w", k.Name, err)
		}
		inv[ref] = entry.Version
	}
	return inv, nil
}

// Live returns those objects of an inventory that the cluster has.
func (p *Platform) Live(ctx context.Context, inv inventory.Inventory) (map[inventory.Ref]*unstructured.Unstructured, error) {
	live := make(map[inventory.Ref]*unstructured.Unstructured, len(inv))
	for ref := range inv {
		mapping, err := p.mapper.RESTMapping(ref.GroupKind(), inv[ref])
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find the resource of %s: %w", ref, err)
		}
		object, err := p.client.Resource(mapping.Resource).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", ref, err)
		}
		live[ref] = object
	}
	return live, nil
}

// Owned returns the objects that bear a Kustomization's labels, among the kinds
// of an inventory.
func (p *Platform) Owned(ctx context.Context, k *kustomizev1.Kustomization, inv inventory.Inventory) ([]inventory.Ref, error) {
	selector := kustomizev1.OwnerNameLabel + "=" + k.Name + "," + kustomizev1.OwnerNamespaceLabel + "=" + k.Namespace
	var owned []inventory.Ref
	seen := map[schema.GroupKind]bool{}
	for ref, version := range inv {
		if seen[ref.GroupKind()] {
			continue
		}
		seen[ref.GroupKind()] = true
		mapping, err := p.mapper.RESTMapping(ref.GroupKind(), version)
		if err != nil {
			return nil, fmt.Errorf("find the resource of %s: %w", ref, err)
		}
		list, err := p.client.Resource(mapping.Resource).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("list what the Kustomization %s owns: %w", k.Name, err)
		}
		for i := range list.Items {
			owned = append(owned, inventory.RefOf(&list.Items[i]))
		}
	}
	slices.SortFunc(owned, func(a, b inventory.Ref) int { return cmp.Compare(a.ID(), b.ID()) })
	return owned, nil
}
