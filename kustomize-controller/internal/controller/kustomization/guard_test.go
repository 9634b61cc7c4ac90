// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/inventory"
	"github.com/weir-gitops/weir/pkg/reconcile"
)

// doomedMaps returns so many ConfigMaps that a prune would delete.
func doomedMaps(n int) []apply.Doomed {
	out := make([]apply.Doomed, n)
	for i := range out {
		name := fmt.Sprintf("map-%d", i)
		out[i] = apply.Doomed{Ref: inventory.Ref{Namespace: "ns", Name: name, Kind: "ConfigMap"}, UID: types.UID("uid of " + name)}
	}
	return out
}

func doomedKind(group, kind string) apply.Doomed {
	return apply.Doomed{Ref: inventory.Ref{Name: "x", Group: group, Kind: kind}, UID: "uid"}
}

func TestHoldPrune(t *testing.T) {
	number := func(n int32) *kustomizev1.PruneGuard { return &kustomizev1.PruneGuard{Max: new(intstr.FromInt32(n))} }
	percent := func(p string) *kustomizev1.PruneGuard {
		return &kustomizev1.PruneGuard{Max: new(intstr.FromString(p))}
	}
	for name, tc := range map[string]struct {
		guard  *kustomizev1.PruneGuard
		doomed []apply.Doomed
		before int
		want   string // in the message; "" if nothing is held
	}{
		"no guard":               {doomed: append(doomedMaps(100), doomedKind("", "Namespace")), before: 100},
		"nothing to delete":      {guard: number(0), before: 100},
		"no limit":               {guard: &kustomizev1.PruneGuard{}, doomed: doomedMaps(100), before: 100},
		"namespace":              {guard: &kustomizev1.PruneGuard{}, doomed: append(doomedMaps(9), doomedKind("", "Namespace")), before: 100, want: "10 to delete, with a Namespace among them: Namespace/x, ConfigMap/ns/map-0,"},
		"definition":             {guard: percent("100%"), doomed: []apply.Doomed{doomedKind("apiextensions.k8s.io", "CustomResourceDefinition")}, before: 100, want: "1 to delete, with a CustomResourceDefinition among them: "},
		"volume claim":           {guard: number(5), doomed: []apply.Doomed{doomedKind("", "PersistentVolumeClaim")}, before: 100, want: "PersistentVolumeClaim"},
		"namespace by name only": {guard: number(5), doomed: []apply.Doomed{doomedKind("example.com", "Namespace")}, before: 100},
		"as many as allowed":     {guard: number(5), doomed: doomedMaps(5), before: 5},
		"one too many":           {guard: number(5), doomed: doomedMaps(6), before: 100, want: "6 to delete, more than the 5 of spec.weir.pruneGuard.max: ConfigMap/ns/map-0, ConfigMap/ns/map-1, ConfigMap/ns/map-2, ConfigMap/ns/map-3, ConfigMap/ns/map-4 and 1 more; they stay"},
		"none allowed":           {guard: number(0), doomed: doomedMaps(1), before: 100, want: "more than the 0"},
		"percentage, just":       {guard: percent("20%"), doomed: doomedMaps(2), before: 10},
		"percentage, over":       {guard: percent("20%"), doomed: doomedMaps(3), before: 10, want: "3 to delete, more than 20% of the 10 there were"},
		"percentage, a fraction": {guard: percent("33%"), doomed: doomedMaps(1), before: 3, want: "more than 33% of the 3"},
		"none of a hundred":      {guard: percent("0%"), doomed: doomedMaps(1), before: 100, want: "more than 0%"},
		"all of a hundred":       {guard: percent("100%"), doomed: doomedMaps(100), before: 100},
		"garbage that got past":  {guard: percent("many"), doomed: doomedMaps(1), before: 100, want: "more than many"},
		"both":                   {guard: number(0), doomed: []apply.Doomed{doomedKind("", "Namespace")}, before: 2, want: "more than the 0 of spec.weir.pruneGuard.max and with a Namespace among them"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := held(time.Now()).obj
			obj.Spec.Weir = &kustomizev1.WeirSpec{PruneGuard: tc.guard}
			got := holdPrune(obj, tc.doomed, tc.before)
			if got == nil {
				if tc.want != "" {
					t.Errorf("nothing is held, want %q", tc.want)
				}
				return
			}
			if text := got.Error(); tc.want == "" || !strings.Contains(text, tc.want) {
				t.Errorf("held: %q, want %q", text, tc.want)
			}
			reversed := slices.Clone(tc.doomed)
			slices.Reverse(reversed)
			if again := holdPrune(obj, reversed, tc.before); again == nil || again.Error() != got.Error() {
				t.Errorf("another order makes another message: %v and %v", got, again)
			}
			confirm := "annotate --overwrite ks app weir.dev/confirm-prune=" + got.value
			if !strings.Contains(got.Error(), "annotation weir.dev/confirm-prune: "+got.value+" ") || !strings.HasSuffix(got.Error(), "kubectl -n ns "+confirm) {
				t.Errorf("message %q, want annotation and command", got)
			}
			obj.Annotations = map[string]string{kustomizev1.ConfirmPruneAnnotation: got.value}
			if again := holdPrune(obj, tc.doomed, tc.before); again != nil {
				t.Errorf("held though it is confirmed: %v", again)
			}
			obj.Annotations[kustomizev1.ConfirmPruneAnnotation] = "prune-0"
			if again := holdPrune(obj, tc.doomed, tc.before); again == nil || !strings.Contains(again.Error(), "the present value confirms another prune") {
				t.Errorf("confirmed by another value: %v", again)
			}
		})
	}
}

// A confirmation is good for one set of objects, and for those very objects.
func TestConfirmation(t *testing.T) {
	value := confirmation(doomedMaps(3))
	anew := doomedMaps(3)
	anew[1].UID = "another"
	for name, other := range map[string][]apply.Doomed{
		"fewer": doomedMaps(2), "more": doomedMaps(4), "one made anew": anew, "another": append(doomedMaps(2), doomedKind("", "Namespace")),
	} {
		if confirmation(other) == value {
			t.Errorf("%s: the same value %s", name, value)
		}
	}
}

// An annotation that changes brings a held prune back, and nothing else.
func TestConfirms(t *testing.T) {
	hold := reconcile.Stalled(kustomizev1.PruneNotConfirmedReason, &heldPruneError{})
	for name, tc := range map[string]struct {
		failure error
		value   string
		want    bool
	}{
		"nothing held":     {value: "prune-1"},
		"another failure":  {failure: errors.New("x"), value: "prune-1"},
		"held, no value":   {failure: hold},
		"held, with value": {failure: hold, value: "prune-1", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(time.Now())
			s.memory.failure = tc.failure
			s.obj.Annotations = map[string]string{kustomizev1.ConfirmPruneAnnotation: tc.value}
			if got := s.memory.confirms(s); got != tc.want {
				t.Errorf("confirms = %t, want %t", got, tc.want)
			}
		})
	}
}

// The percentage is meant of the inventory before the revision, also when it
// has grown meanwhile, and in the next process.
func TestInventoryBefore(t *testing.T) {
	s := held(time.Now())
	s.obj.Spec.Weir = &kustomizev1.WeirSpec{PruneGuard: &kustomizev1.PruneGuard{}}
	ten, twenty := inventory.Inventory{}, inventory.Inventory{}
	for i, d := range doomedMaps(20) {
		if twenty[d.Ref] = "v1"; i < 10 {
			ten[d.Ref] = "v1"
		}
	}
	s.keepBefore()
	if s.before = ten; s.obj.Status.Weir != nil {
		t.Errorf("something is kept of an empty inventory: %+v", s.obj.Status.Weir)
	}
	s.keepBefore()
	s.before = twenty
	s.keepBefore()
	if got := s.inventoryBefore(); got != 10 {
		t.Errorf("%d before, want 10", got)
	}
	s.dropBefore()
	if got := s.inventoryBefore(); got != 20 || s.obj.Status.Weir != nil {
		t.Errorf("%d before, and %+v in the status, want 20 and nothing", got, s.obj.Status.Weir)
	}
}
