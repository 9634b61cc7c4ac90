// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/gate"
	"github.com/weir-gitops/weir/pkg/gpu"
)

// A swap that cannot be finished says what was taken away for it.
func TestGateTellsOfAnIncompleteSwap(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	first := g.push(map[string]string{"old.yaml": deployment("old", 4)})
	g.create("app", func(k *kustomizev1.Kustomization) {
		k.Spec.RetryInterval = &metav1.Duration{Duration: retryAtOnce}
	})
	g.awaitReady("app", first)
	g.holds("old", 4)
	g.finalizers("old", "test.weir.dev/hold")

	second := g.push(map[string]string{"new.yaml": deployment("new", 4)})
	g.await("app", "waits for what it gives up", func(k *kustomizev1.Kustomization) bool {
		ready := conditions.Get(k, fluxmeta.ReadyCondition)
		return ready.Status == metav1.ConditionUnknown && ready.Reason == kustomizev1.WaitingForGPUsReason && strings.Contains(ready.Message, "Deployment/"+g.ns+"/new of revision "+second)
	})
	if g.live("apps/v1/Deployment", "old") != nil || g.live("apps/v1/Deployment", "new") != nil {
		t.Error("old is still there, or new is already")
	}
	none := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/deployments.apps": resource.MustParse("0")}},
	}
	g.must(kube.Create(t.Context(), none))
	g.eventually("the native quota is in effect", func() bool {
		g.must(kube.Get(t.Context(), client.ObjectKeyFromObject(none), none))
		return len(none.Status.Used) > 0
	})
	g.finalizers("old")
	message := g.awaitFailure("app", kustomizev1.SwapIncompleteReason)
	// The dry-run or the write, whichever comes first after the quota.
	g.wants(message, "Deployment/"+g.ns+"/new ", " failed (Forbidden)", "this revision has already reduced or removed Deployment/"+g.ns+"/old")
	g.must(kube.Delete(t.Context(), none))
	g.awaitReady("app", second)
	g.holds("new", 4)
}

// finalizers sets those of the pods of a Deployment that is or was.
func (g *gated) finalizers(app string, names ...string) {
	g.Helper()
	pods := &corev1.PodList{}
	g.must(kube.List(g.Context(), pods, client.InNamespace(g.ns), client.MatchingLabels{"app": app}))
	for i := range pods.Items {
		before := pods.Items[i].DeepCopy()
		pods.Items[i].Finalizers = names
		g.must(client.IgnoreNotFound(kube.Patch(g.Context(), &pods.Items[i], client.MergeFrom(before))))
	}
}

// A request that nobody stands behind goes, and so does what it was granted.
func TestGateForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	data, hash, err := gate.Encode(gate.Request{
		Kind: kustomizev1.KustomizationKind, Namespace: g.ns, Name: "nobody", UID: types.UID("uid-of-nobody-" + g.ns), Revision: "main@sha1:1",
		Change: gate.Change{Objects: []gate.Object{{Key: "apps/Deployment/" + g.ns + "/web", Namespace: g.ns, After: gpu.Estimate{
			Groups: []gpu.Group{{Shape: gpu.Shape{Resources: gpu.Amounts{"nvidia.com/gpu": gpu.Whole(4)}}, Min: 1, Max: 1}},
		}}}},
	})
	g.must(err)
	request := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "weir-system", Name: gate.Name(types.UID("uid-of-nobody-" + g.ns)), Labels: map[string]string{gate.Label: gate.LabelValue}},
		Data:       map[string]string{"request": string(data), "hash": hash},
	}
	g.must(kube.Create(t.Context(), request))
	g.eventually("the request is removed", func() bool {
		return apierrors.IsNotFound(kube.Get(t.Context(), client.ObjectKeyFromObject(request), request))
	})
	g.awaitReadyWith("app", map[string]string{"web.yaml": deployment("web", 4)})
}

// Kinds that users add are counted like any others.
func TestGateCountsKindsOfUsers(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "weir-system", Name: "gpu-quota-kinds"},
		Data:       map[string]string{"widgets.yaml": "kinds: [{group: gate.test.weir.dev, kind: Widget, podSets: [{template: spec.template, replicas: {path: spec.size, default: 1}}]}]"},
	}
	g.must(kube.Create(t.Context(), config))
	t.Cleanup(func() { _ = kube.Delete(context.WithoutCancel(t.Context()), config) })
	files := func(size int) map[string]string {
		return map[string]string{"crd.yaml": `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.gate.test.weir.dev}
spec:
  group: gate.test.weir.dev
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`, "widget.yaml": fmt.Sprintf(`
apiVersion: gate.test.weir.dev/v1
kind: Widget
metadata: {name: w, namespace: $NS}
spec: {size: %d, template: {spec: {containers: [{name: main, image: example/x, resources: {limits: {nvidia.com/gpu: 2}}}]}}}
`, size)}
	}
	// The controller hears of the ConfigMap a moment later. What it took for
	// something without pods until then asks for more every time.
	g.push(files(3))
	g.create("app", func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = &metav1.Duration{Duration: retryAtOnce} })
	size := 3
	for ; size < 50; size++ {
		revision := g.push(files(size))
		obj := g.await("app", "is applied or refused", func(k *kustomizev1.Kustomization) bool {
			return conditions.IsReady(k) && k.Status.LastAppliedRevision == revision ||
				conditions.GetReason(k, fluxmeta.ReadyCondition) == kustomizev1.GPUQuotaNeverFitsReason
		})
		if !conditions.IsReady(obj) {
			break
		}
	}
	g.wants(g.awaitFailure("app", kustomizev1.GPUQuotaNeverFitsReason), "can never fit, hard 4", "Widget/"+g.ns+"/w")
}

// Who asked first is served first, even if a later one would fit in between; what
// was waited for goes to all that it is enough for.
func TestGateKeepsTheOrder(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.hold("other", 3)
	g.push(map[string]string{"large/web.yaml": deployment("large", 3), "small/web.yaml": deployment("small", 1)})
	g.create("large", at("./large"))
	g.awaitFailure("large", kustomizev1.GPUQuotaExceededReason)
	g.create("small", at("./small"))
	message := g.awaitFailure("small", kustomizev1.GPUQuotaExceededReason)
	g.wants(message, `a revision that asked earlier waits for gpu of GPUQuota "`+g.ns+`"`)
	// A newer revision of the first keeps its place.
	g.push(map[string]string{"large/web.yaml": deployment("large", 2), "small/web.yaml": deployment("small", 1)})
	g.await("large", "waits with its new revision", func(k *kustomizev1.Kustomization) bool {
		return strings.Contains(conditions.GetMessage(k, fluxmeta.ReadyCondition), "gpu requested 2")
	})
	g.release("other")
	for _, name := range []string{"large", "small"} {
		g.await(name, "is applied", func(k *kustomizev1.Kustomization) bool { return conditions.IsReady(k) })
	}
	g.holds("large", 2)
	g.holds("small", 1)
}

// When the pods of a service are evicted at full quota, their GPUs stay with it:
// a commit that waits goes on waiting, until the service needs fewer.
func TestGateWaitsWhilePodsAreReplaced(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.hold("service", 4)
	g.push(map[string]string{"web.yaml": deployment("web", 2), "a.yaml": configMap("a", "one")})
	g.create("app")
	g.awaitFailure("app", kustomizev1.GPUQuotaExceededReason)
	for range 2 {
		before := &corev1.PodList{}
		g.must(kube.List(t.Context(), before, client.InNamespace(g.ns), client.MatchingLabels{"app": "service"}))
		for i := range before.Items {
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: before.Items[i].Name}}
			g.must(client.IgnoreNotFound(kube.SubResource("eviction").Create(t.Context(), &before.Items[i], eviction)))
		}
		g.eventually("all pods of the service are replaced", func() bool {
			now := &corev1.PodList{}
			g.must(kube.List(t.Context(), now, client.InNamespace(g.ns), client.MatchingLabels{"app": "service"}))
			old := func(p corev1.Pod) bool {
				return slices.ContainsFunc(before.Items, func(b corev1.Pod) bool { return b.UID == p.UID })
			}
			return len(now.Items) == 4 && !slices.ContainsFunc(now.Items, old)
		})
		if g.live("v1/ConfigMap", "a") != nil || g.live("apps/v1/Deployment", "web") != nil {
			t.Fatal("the commit that waits was applied")
		}
	}
	if reason := conditions.GetReason(g.get("app"), fluxmeta.ReadyCondition); reason != kustomizev1.GPUQuotaExceededReason {
		t.Errorf("it is %s", reason)
	}
	service := g.live("apps/v1/Deployment", "service")
	g.must(kube.Patch(t.Context(), service, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":2}}`))))
	g.await("app", "is applied when the service needs fewer", func(k *kustomizev1.Kustomization) bool { return conditions.IsReady(k) })
	g.holds("web", 2)
}
