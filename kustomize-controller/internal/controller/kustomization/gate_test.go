// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"context"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// What is over the quota is refused before anything is written, with the numbers;
// what was applied before goes on to hold.
func TestGateRefusesBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	first := g.push(map[string]string{"web.yaml": deployment("web", 2), "a.yaml": configMap("a", "one")})
	g.create("app")
	before := g.awaitReady("app", first)
	g.holds("web", 2)
	version := g.live("v1/ConfigMap", "a").GetResourceVersion()
	generation := g.live("apps/v1/Deployment", "web").GetGeneration()

	second := g.push(map[string]string{"web.yaml": deployment("web", 5), "a.yaml": configMap("a", "two"), "b.yaml": configMap("b", "new")})
	message := g.awaitFailure("app", kustomizev1.GPUQuotaNeverFitsReason)
	g.wants(message, "revision "+second+" is not applied", `GPUQuota "`+g.ns+`": gpu requested 5 can never fit, hard 4`, "it adds to Deployment/"+g.ns+"/web", "in a Kustomization of their own")
	if v := g.live("v1/ConfigMap", "a").GetResourceVersion(); v != version {
		t.Errorf("the ConfigMap was written: version %s, before %s", v, version)
	}
	if n := g.live("apps/v1/Deployment", "web").GetGeneration(); n != generation {
		t.Errorf("the Deployment was written: generation %d, before %d", n, generation)
	}
	if g.live("v1/ConfigMap", "b") != nil {
		t.Error("b was created")
	}
	after := g.get("app")
	if len(after.Status.Inventory.Entries) != len(before.Status.Inventory.Entries) {
		t.Errorf("the inventory has %d entries, had %d", len(after.Status.Inventory.Entries), len(before.Status.Inventory.Entries))
	}
	g.patch("somebody", "v1/ConfigMap", "a", `{data: {key: by hand}}`)
	g.eventually("the change is put back under the refused revision", func() bool {
		return field(g.live("v1/ConfigMap", "a"), "data", "key") == "one"
	})

	answered := g.request("app").GetResourceVersion()
	g.hold("other", 1)
	g.release("other")
	g.eventually("what others held is free", func() bool { return g.pods("other") == 0 })
	if now := g.request("app").GetResourceVersion(); now != answered {
		t.Error("the verdict was written again though it is the same")
	}

	third := g.push(map[string]string{"web.yaml": deployment("web", 1), "a.yaml": configMap("a", "three")})
	g.awaitReady("app", third)
	g.eventually("the request is withdrawn", func() bool { return g.request("app") == nil })
}

// A commit that waits goes through by itself when there is room.
func TestGateWaitsForRoom(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.hold("other", 3)
	revision := g.push(map[string]string{"web.yaml": deployment("web", 2), "a.yaml": configMap("a", "one")})
	g.create("app")
	message := g.awaitFailure("app", kustomizev1.GPUQuotaExceededReason)
	g.wants(message, `exceeded quota: GPUQuota "`+g.ns+`": gpu requested 2, used `, ", hard 4, over by 1;")
	if g.live("v1/ConfigMap", "a") != nil {
		t.Error("a was created")
	}
	events := func() (n int) {
		list := &eventsv1.EventList{}
		g.must(kube.List(t.Context(), list, client.InNamespace(g.ns)))
		for i := range list.Items {
			if list.Items[i].Reason == kustomizev1.GPUQuotaExceededReason {
				n++
			}
		}
		return n
	}
	g.eventually("an event tells of it", func() bool { return events() == 1 })
	g.suite.request("app") // to be asked again changes nothing
	g.await("app", "has handled the request", func(k *kustomizev1.Kustomization) bool {
		return k.Status.LastHandledReconcileAt == k.Annotations[fluxmeta.ReconcileRequestAnnotation]
	})
	if again := conditions.GetMessage(g.get("app"), fluxmeta.ReadyCondition); again != message || events() != 1 {
		t.Errorf("the message was\n%s\nand is\n%s\n(%d events)", message, again, events())
	}

	g.release("other")
	g.eventually("the pods are gone", func() bool { return g.pods("other") == 0 })
	g.within(2*time.Second, "the commit goes through", func() bool {
		return conditions.IsReady(g.get("app")) && g.get("app").Status.LastAppliedRevision == revision
	})
	g.holds("web", 2)

	// Another takes what a revert gives back, and the way forward has to wait.
	g.awaitReady("app", g.push(map[string]string{"web.yaml": deployment("web", 1)}))
	g.holds("web", 1)
	g.hold("other", 3)
	g.push(map[string]string{"web.yaml": deployment("web", 2), "a.yaml": configMap("a", "one")})
	g.awaitFailure("app", kustomizev1.GPUQuotaExceededReason)
	g.delete("app")
	g.eventually("the request went with its owner", func() bool {
		list := &corev1.ConfigMapList{}
		g.must(kube.List(t.Context(), list, client.InNamespace("weir-system"), client.MatchingLabels{"quota.weir.dev/gate": "request"}))
		for i := range list.Items {
			if strings.Contains(list.Items[i].Data["request"], `"namespace":"`+g.ns+`"`) {
				return false
			}
		}
		return true
	})
}

// Of two revisions that fit alone and not together, one waits for the other.
func TestGateGrantsOneOfTwo(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.push(map[string]string{"one/web.yaml": deployment("one", 3), "two/web.yaml": deployment("two", 3)})
	names := []string{"one", "two"}
	for _, name := range names {
		g.create(name, at("./"+name))
	}
	state := func(name string) string { return conditions.GetReason(g.get(name), fluxmeta.ReadyCondition) }
	g.eventually("one is applied and the other waits", func() bool {
		a, b := state("one"), state("two")
		return a == kustomizev1.ReconciliationSucceededReason && b == kustomizev1.GPUQuotaExceededReason ||
			b == kustomizev1.ReconciliationSucceededReason && a == kustomizev1.GPUQuotaExceededReason
	})
	if state("one") == kustomizev1.GPUQuotaExceededReason {
		names = []string{"two", "one"}
	}
	g.delete(names[0])
	g.await(names[1], "is applied in its turn", func(k *kustomizev1.Kustomization) bool { return conditions.IsReady(k) })
	g.holds(names[1], 3)
}

// At full quota what goes makes room for what comes, and nobody else gets it.
func TestGateSwapsAtFullQuota(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.awaitReadyWith("app", map[string]string{"old.yaml": deployment("old", 4)})
	g.holds("old", 4)
	second := g.push(map[string]string{"new.yaml": deployment("new", 4)})
	g.awaitReady("app", second)
	g.holds("new", 4)
	if g.live("apps/v1/Deployment", "old") != nil {
		t.Error("old is still there")
	}

	// What cannot be applied in the end says what was taken away for it.
	g.push(map[string]string{"third.yaml": deployment("third", 4), "bad.yaml": `
apiVersion: v1
kind: Service
metadata: {name: bad, namespace: $NS}
spec: {ports: [{port: 80}], clusterIP: 1.2.3.4}
`})
	message := g.awaitFailure("app", kustomizev1.ReconciliationFailedReason)
	g.wants(message, "Service/"+g.ns+"/bad")
	if g.live("apps/v1/Deployment", "new") == nil {
		t.Error("new was removed for a revision that the API server refuses")
	}
}

// awaitReadyWith makes a Kustomization of files and waits until it is applied.
func (g *gated) awaitReadyWith(name string, files map[string]string) {
	g.Helper()
	revision := g.push(files)
	g.create(name)
	g.awaitReady(name, revision)
}

// A rollout that could never proceed is refused, with what to do about it.
func TestGatePredictsDeadlock(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 2)
	g.awaitReadyWith("app", map[string]string{"web.yaml": deployment("web", 2)})
	g.holds("web", 2)
	g.push(map[string]string{"web.yaml": strings.Replace(deployment("web", 2), "example/x", "example/y", 1)})
	message := g.awaitFailure("app", kustomizev1.GPUQuotaNeverFitsReason)
	g.wants(message, "the rollout of Deployment/"+g.ns+"/web would get stuck", "set maxUnavailable: 1 or maxSurge: 0")
	fixed := strings.Replace(deployment("web", 2, "strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}"), "example/x", "example/y", 1)
	g.awaitReady("app", g.push(map[string]string{"web.yaml": fixed}))
}

// A limit that is raised by the same revision counts, and is there first.
func TestGateTakesQuotasOfTheSameRevision(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 2)
	g.awaitReadyWith("app", map[string]string{"web.yaml": deployment("web", 2)})
	g.holds("web", 2)
	g.awaitReady("app", g.push(map[string]string{"web.yaml": deployment("web", 5), "quota.yaml": g.manifest(5)}))
	g.holds("web", 5)
	g.awaitReady("app", g.push(map[string]string{"web.yaml": deployment("web", 1), "quota.yaml": g.manifest(1)}))
	g.holds("web", 1)
	g.edit("app", func(k *kustomizev1.Kustomization) { k.Spec.Prune = false })
}

// Warn lets everything pass and says so.
func TestGateWarns(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 2, "enforcement: {gate: Warn, admission: Warn}")
	g.awaitReadyWith("app", map[string]string{"web.yaml": deployment("web", 3)})
	g.eventually("an event warns", func() bool {
		list := &eventsv1.EventList{}
		g.must(kube.List(t.Context(), list, client.InNamespace(g.ns)))
		for i := range list.Items {
			if list.Items[i].Reason == kustomizev1.GPUQuotaWarningReason && strings.Contains(list.Items[i].Note, "hard 2") {
				return true
			}
		}
		return false
	})
}

// What was granted is kept while whoever asked is away, and is free when it is
// gone.
func TestGateKeepsWhatWasGranted(t *testing.T) {
	t.Parallel()
	g := newGated(newSuite(t), 4)
	g.push(map[string]string{"one/web.yaml": deployment("one", 3), "two/web.yaml": deployment("two", 3)})
	var again *process
	t.Cleanup(func() { again.stop(t) }) // after the Kustomization is deleted
	// A process that applies it dies once it was granted.
	g.create("one", at("./one"), func(k *kustomizev1.Kustomization) { k.Labels = map[string]string{shardLabel: g.ns} })
	crashed := startController("--watch-label-selector=" + shardLabel + "=" + g.ns)
	if !g.stopAtGrant("one", crashed) {
		t.Log("it was applied before it could be stopped")
	}
	g.create("two", at("./two"))
	message := g.awaitFailure("two", kustomizev1.GPUQuotaExceededReason)
	g.wants(message, "over by 2")
	again = startController("--watch-label-selector=" + shardLabel + "=" + g.ns)
	g.await("one", "is applied after all", func(k *kustomizev1.Kustomization) bool { return conditions.IsReady(k) })
	g.holds("one", 3)
}

// stopAtGrant stops a controller as soon as its request is granted, and reports
// whether nothing was applied by then.
func (g *gated) stopAtGrant(name string, p *process) bool {
	g.Helper()
	ctx, cancel := context.WithTimeout(g.Context(), deadline)
	defer cancel()
	events, err := kube.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace("weir-system"), client.MatchingLabels{"quota.weir.dev/gate": "request"})
	g.must(err)
	defer events.Stop()
	for event := range events.ResultChan() {
		cm, ok := event.Object.(*corev1.ConfigMap)
		if ok && strings.Contains(cm.Data["request"], `"namespace":"`+g.ns+`"`) && strings.Contains(cm.Data["verdict"], "Granted") {
			break
		}
	}
	p.cancel()
	<-p.done
	return g.live("apps/v1/Deployment", name) == nil
}

// A cluster without quotas knows no gate; one whose quotas nobody answers for
// lets pass what adds nothing.
func TestGateOnARemoteCluster(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	r := newRemote(s)
	s.access("value", r.kubeconfig(r.config()))
	first := s.push(map[string]string{"web.yaml": deployment("web", 1), "a.yaml": configMap("a", "one")})
	s.create("app", onRemote)
	s.awaitReady("app", first)

	s.must(r.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "weir-system"}}))
	crd := newObject("apiextensions.k8s.io/v1/CustomResourceDefinition")
	s.must(kube.Get(t.Context(), client.ObjectKey{Name: "gpuquotas.quota.weir.dev"}, crd))
	unstructured.RemoveNestedField(crd.Object, "metadata")
	crd.SetName("gpuquotas.quota.weir.dev")
	unstructured.RemoveNestedField(crd.Object, "status")
	s.must(r.kube.Create(t.Context(), crd))
	g := &gated{s}
	quota := &unstructured.Unstructured{}
	s.must(yaml.Unmarshal([]byte(g.manifest(8)), &quota.Object))
	s.eventually("the remote cluster takes a quota", func() bool { return r.kube.Create(t.Context(), quota.DeepCopy()) == nil })

	s.push(map[string]string{"web.yaml": deployment("web", 2), "a.yaml": configMap("a", "two")})
	message := s.awaitFailure("app", kustomizev1.GPUQuotaUnavailableReason)
	g.wants(message, "gpu-quota-controller does not answer; see that it runs in namespace weir-system")
	if got := field(r.live("v1/ConfigMap", "a"), "data", "key"); got != "one" {
		t.Errorf("a has %q, want what was there before", got)
	}
	third := s.push(map[string]string{"web.yaml": deployment("web", 1), "a.yaml": configMap("a", "three")})
	s.awaitReady("app", third)
	requests := &corev1.ConfigMapList{}
	s.must(r.kube.List(t.Context(), requests, client.InNamespace("weir-system"), client.MatchingLabels{"quota.weir.dev/gate": "request"}))
	if len(requests.Items) > 0 {
		t.Errorf("the request is still there: %s", requests.Items[0].Name)
	}
}
