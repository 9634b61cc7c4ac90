// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// guard sets spec.weir.pruneGuard.
func guard(limit intstr.IntOrString) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Spec.Weir = &kustomizev1.WeirSpec{PruneGuard: &kustomizev1.PruneGuard{Max: &limit}}
	}
}

// configMaps returns files with so many ConfigMaps, from number first on.
func configMaps(first, last int) map[string]string {
	files := map[string]string{}
	for i := first; i < last; i++ {
		name := fmt.Sprintf("map-%02d", i)
		files[name+".yaml"] = configMap(name, "x")
	}
	return files
}

var confirmCommand = regexp.MustCompile(`kubectl -n (\S+) annotate --overwrite ks (\S+) weir\.dev/confirm-prune=(\S+)$`)

// awaitHeld waits until a prune is held, and returns the value that confirms
// it, as the message has it.
func (s *suite) awaitHeld(name string) (value, message string) {
	s.Helper()
	message = s.awaitFailure(name, kustomizev1.PruneNotConfirmedReason)
	match := confirmCommand.FindStringSubmatch(message)
	if len(match) != 4 || match[1] != s.ns || match[2] != name || !strings.Contains(message, "annotation weir.dev/confirm-prune: "+match[3]+" ") {
		s.Fatalf("message %q, want the annotation and the command that sets it", message)
	}
	return match[3], message
}

// confirm sets the annotation.
func (s *suite) confirm(name, value string) {
	s.Helper()
	s.edit(name, func(k *kustomizev1.Kustomization) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, kustomizev1.ConfirmPruneAnnotation, value)
	})
}

// all reports whether every ConfigMap of configMaps(first, last) is there, and
// whether none is.
func (s *suite) all(first, last int) (every, none bool) {
	s.Helper()
	every, none = true, true
	for i := first; i < last; i++ {
		if s.live("v1/ConfigMap", fmt.Sprintf("map-%02d", i)) == nil {
			every = false
		} else {
			none = false
		}
	}
	return every, none
}

// A prune over the limit is held, over a restart, until it is confirmed; all
// else of the revision is applied.
func TestPruneGuardHolds(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	restart := s.shard("guard")
	first := s.push(configMaps(0, 10))
	s.create("app", onShard("guard"), guard(intstr.FromString("20%")))
	s.awaitReady("app", first)
	// Two of ten may go.
	second := s.push(configMaps(2, 10))
	s.awaitReady("app", second)
	if _, none := s.all(0, 2); !none {
		t.Error("20% of the objects were not pruned")
	}
	// Three of eight may not, though as many are new that it is three of 18.
	third := s.push(configMaps(5, 18))
	value, message := s.awaitHeld("app")
	if !strings.Contains(message, "3 to delete, more than 20% of the 8 there were") || !strings.Contains(message, "ConfigMap/"+s.ns+"/map-02, ConfigMap/"+s.ns+"/map-03, ConfigMap/"+s.ns+"/map-04; they stay") {
		t.Errorf("message %q, want the objects and the limit", message)
	}
	s.expectHeld("app", 16)
	if every, _ := s.all(2, 18); !every {
		t.Error("want the new objects applied and the old ones kept")
	}

	restart()
	s.confirm("app", "prune-0000000000000000")
	obj := s.await("app", "says that another prune was confirmed", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "the present value confirms another prune")
	})
	if again, text := s.awaitHeld("app"); again != value || obj.Status.LastAppliedRevision != second {
		t.Errorf("after the restart the value is %s, want %s; applied %s; %s", again, value, obj.Status.LastAppliedRevision, text)
	}
	s.expectHeld("app", 16)
	if every, _ := s.all(2, 18); !every {
		t.Error("something was deleted without being confirmed")
	}
	s.confirm("app", value)
	obj = s.awaitReady("app", third)
	if _, none := s.all(2, 5); !none || len(obj.Status.Inventory.Entries) != 13 || obj.Status.Weir.InventoryBefore != 0 {
		t.Errorf("want the prune done: %d in the inventory, status.weir %+v", len(obj.Status.Inventory.Entries), obj.Status.Weir)
	}
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Weir = nil })
}

// expectHeld checks what a held prune looks like besides its message.
func (s *suite) expectHeld(name string, entries int) {
	s.Helper()
	obj := s.get(name)
	if !conditions.IsStalled(obj) || obj.Status.ObservedGeneration != obj.Generation || len(obj.Status.Inventory.Entries) != entries {
		s.Errorf("want Stalled, the generation observed, and %d in the inventory: %+v", entries, obj.Status)
	}
}

// A confirmation is used up with its objects, and Git, somebody who deletes by
// hand and the end of the guard resolve a held prune as well.
func TestPruneGuardResolves(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push(configMaps(0, 4))
	retry := func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = &metav1.Duration{Duration: 2 * time.Second} }
	s.create("app", guard(intstr.FromInt32(1)), retry)
	s.awaitReady("app", first)

	s.push(configMaps(2, 4))
	value, _ := s.awaitHeld("app")
	s.push(configMaps(0, 4))
	s.awaitReady("app", first)
	if every, _ := s.all(0, 4); !every {
		t.Error("something is gone after the revert")
	}

	second := s.push(configMaps(2, 4))
	if again, _ := s.awaitHeld("app"); again != value {
		t.Errorf("the same objects are confirmed by %s and by %s", value, again)
	}
	s.confirm("app", value)
	s.awaitReady("app", second)
	s.awaitReady("app", s.push(configMaps(0, 4)))
	s.push(configMaps(2, 4))
	if again, _ := s.awaitHeld("app"); again == value {
		t.Error("an old confirmation is good for objects made since")
	}

	s.must(kube.Delete(t.Context(), s.live("v1/ConfigMap", "map-00")))
	s.awaitReady("app", second)
	if _, none := s.all(0, 2); !none {
		t.Error("want one deleted by hand, and the other pruned within the limit")
	}

	s.push(map[string]string{})
	s.awaitHeld("app")
	s.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Weir = nil })
	s.eventually("all is pruned without a guard", func() bool { _, none := s.all(0, 4); return none })
}

// A guard without a limit holds what takes other things with it, and what is
// not to be pruned does not count.
func TestPruneGuardKinds(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: $NS%s}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
	files := configMaps(0, 4)
	files["data.yaml"] = fmt.Sprintf(claim, "")
	s.awaitGuarded(files)
	files = configMaps(3, 4)
	s.push(files)
	value, message := s.awaitHeld("app")
	if want := "4 to delete, with a PersistentVolumeClaim among them: PersistentVolumeClaim/" + s.ns + "/data, ConfigMap/"; !strings.Contains(message, want) {
		t.Errorf("message %q, want %q", message, want)
	}
	s.patch("kubectl-annotate", "v1/PersistentVolumeClaim", "data", "metadata: {annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}")
	s.confirm("app", value)
	s.eventually("the rest is pruned, now that the claim is kept", func() bool { _, none := s.all(0, 3); return none })
	if s.live("v1/PersistentVolumeClaim", "data") == nil {
		t.Error("the claim was pruned against its annotation")
	}
}

// awaitGuarded applies files under a guard without a limit.
func (s *suite) awaitGuarded(files map[string]string) {
	s.Helper()
	revision := s.push(files)
	s.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.Weir = &kustomizev1.WeirSpec{PruneGuard: &kustomizev1.PruneGuard{}}
	})
	s.awaitReady("app", revision)
}

// Deleting the Kustomization is a prune of everything.
func TestPruneGuardHoldsDeletion(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	restart := s.shard("deletion")
	revision := s.push(configMaps(0, 3))
	s.create("app", onShard("deletion"), guard(intstr.FromString("50%")))
	s.awaitReady("app", revision)
	s.must(kube.Delete(t.Context(), s.get("app")))
	value, message := s.awaitHeld("app")
	if !strings.Contains(message, "3 to delete, more than 50% of the 3 there were") {
		t.Errorf("message %q", message)
	}
	restart()
	s.confirm("app", "prune-of-something-else")
	s.await("app", "is held after the restart", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "the present value confirms another prune")
	})
	if every, _ := s.all(0, 3); !every {
		t.Error("something was deleted without being confirmed")
	}
	s.eventually("an event tells of it", func() bool { return slicesContains(s.events("app"), "prune not confirmed: 3 to delete") })
	s.confirm("app", value)
	s.delete("app")
	if _, none := s.all(0, 3); !none {
		t.Error("want all deleted once it is confirmed")
	}
}

// An uninstall asks nobody, and deletes nothing.
func TestPruneGuardLetsAnUninstallPass(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	revision := s.push(configMaps(0, 3))
	s.create("app", guard(intstr.FromInt32(0)))
	s.awaitReady("app", revision)
	s.must(kube.Delete(t.Context(), s.get("app")))
	s.awaitHeld("app")
	// To a controller whose own namespace is gone, Weir is being uninstalled.
	s.shard("uninstall", "--runtime-namespace="+s.ns+"-gone")
	s.edit("app", onShard("uninstall"))
	s.eventually("the Kustomization is gone", func() bool { return s.isGone("app") })
	if every, _ := s.all(0, 3); !every {
		t.Error("an uninstall has deleted something")
	}
}

func (s *suite) isGone(name string) bool {
	s.Helper()
	err := kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, &kustomizev1.Kustomization{})
	return err != nil && client.IgnoreNotFound(err) == nil
}
