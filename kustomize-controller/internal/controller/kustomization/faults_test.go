// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// faulty is a test with a controller of its own, whose way to the API server
// can be broken. Two Kustomizations live on it: the victim of the fault, and a
// bystander that it must not disturb.
type faulty struct {
	*suite
	proxy *testkit.FaultProxy
}

func newFaulty(t *testing.T, flags ...string) *faulty {
	t.Helper()
	f := &faulty{suite: newSuite(t)}
	config, err := cluster.ServiceAccountConfig(t.Context(), "weir-system", "kustomize-controller")
	f.must(err)
	f.proxy, err = testkit.NewFaultProxy(cluster.Config())
	f.must(err)
	process := startControllerOn(f.proxy.Config(config), append(flags, "--watch-label-selector="+shardLabel+"="+f.ns)...)
	t.Cleanup(func() {
		f.proxy.Inject(nil)
		process.stop(t)
		f.proxy.Close()
	})
	return f
}

// start creates a Kustomization of a directory of the source, for the faulty
// controller, that is tried again soon.
func (f *faulty) start(name string, change ...func(*kustomizev1.Kustomization)) {
	f.Helper()
	f.create(name, append(change, func(k *kustomizev1.Kustomization) {
		k.Labels = map[string]string{shardLabel: f.ns}
		k.Spec.Path = "./" + name
		k.Spec.RetryInterval = &metav1.Duration{Duration: time.Second}
	})...)
}

// undisturbed proves that the bystander is served while the fault lasts.
func (f *faulty) undisturbed() {
	f.Helper()
	f.eventually("the bystander's ConfigMap is there", func() bool { return f.live("v1/ConfigMap", "by") != nil })
	f.patch("somebody", "v1/ConfigMap", "by", `data: {key: "changed by hand"}`)
	f.wantsData("by", "fine")
}

// wantsData waits until a ConfigMap holds a value.
func (f *faulty) wantsData(name, want string) {
	f.Helper()
	f.eventually("ConfigMap "+name+" holds "+want, func() bool { return field(f.live("v1/ConfigMap", name), "data", "key") == want })
}

// says waits for a failure and checks its message.
func (f *faulty) says(name, reason string, want ...string) {
	f.Helper()
	got := f.awaitFailure(name, reason)
	for _, text := range want {
		if !strings.Contains(got, text) {
			f.Errorf("message %q, want %q in it", got, text)
		}
	}
}

// writes reports whether a request applies the named ConfigMap of the test.
func (f *faulty) writes(r *http.Request, name string) bool {
	return r.Method == http.MethodPatch && r.URL.Path == "/api/v1/namespaces/"+f.ns+"/configmaps/"+name
}

func dryRun(r *http.Request) bool { return r.URL.Query().Has("dryRun") }

// two pushes a victim with two ConfigMaps and a bystander with one.
func (f *faulty) two() string {
	f.Helper()
	return f.push(map[string]string{
		"victim/a.yaml":    configMap("a", "one"),
		"victim/b.yaml":    configMap("b", "one"),
		"bystander/c.yaml": configMap("by", "fine"),
	})
}

// A server that is busy for a moment is waited for, and nobody is told.
func TestFaultThrottledForAMoment(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	var refused atomic.Int32
	f.proxy.Inject(func(r *http.Request) testkit.Fault {
		if f.writes(r, "a") && refused.Add(1) <= 2 {
			return testkit.Fault{Code: http.StatusTooManyRequests, RetryAfter: 1}
		}
		return testkit.Fault{}
	})
	revision := f.two()
	f.start("victim")
	f.awaitReady("victim", revision)
	if refused.Load() < 3 {
		t.Errorf("%d requests were sent, want the two that were refused and more", refused.Load())
	}
}

// A server that fails in the middle of an apply: the message names the object
// and what was written before it, and the inventory has all of it.
func TestFaultInTheMiddleOfAnApply(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		fault testkit.Fault
		says  string
	}{
		"500":       {testkit.Fault{Code: http.StatusInternalServerError}, "(InternalError)"},
		"dropped":   {testkit.Fault{Drop: true}, ""},
		"no answer": {testkit.Fault{Hang: true}, "the API server did not answer in time"},
		"throttled": {testkit.Fault{Code: http.StatusTooManyRequests}, "(TooManyRequests)"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t, "--kube-api-timeout=3s")
			f.proxy.Inject(func(r *http.Request) testkit.Fault {
				if f.writes(r, "b") && !dryRun(r) {
					return fault.fault
				}
				return testkit.Fault{}
			})
			revision := f.two()
			f.start("victim")
			f.start("bystander")
			f.says("victim", kustomizev1.ReconciliationFailedReason, "ConfigMap/"+f.ns+"/b", fault.says)
			f.undisturbed()
			if got := len(f.get("victim").Status.Inventory.Entries); got != 2 {
				t.Errorf("the inventory has %d entries, want both objects although one was not written", got)
			}
			f.proxy.Inject(nil)
			f.awaitReady("victim", revision)
		})
	}
}

// Watches that end, and a server that has forgotten where they were: what
// changed meanwhile is put back once they are there again.
func TestFaultWatchesAreCutAndExpire(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	revision := f.two()
	f.start("victim")
	f.awaitReady("victim", revision)
	for name, fault := range map[string]testkit.Fault{
		"gone":  {Code: http.StatusGone},
		"error": {Code: http.StatusInternalServerError},
		"drop":  {Drop: true},
	} {
		var refused atomic.Int32
		f.proxy.Inject(func(r *http.Request) testkit.Fault {
			// That of the applied objects; those of single namespaces are about other things.
			if testkit.IsWatch(r) && r.URL.Path == "/api/v1/configmaps" {
				refused.Add(1)
				return fault
			}
			return testkit.Fault{}
		})
		if f.proxy.CutWatches() == 0 {
			t.Fatal("there was no watch to cut")
		}
		// Often enough for a reflector on its own to wait for half a minute by then.
		f.eventually("the watch is asked for again", func() bool { return refused.Load() >= 5 })
		// Each time somebody else, or it would be a contest in the end.
		f.patch("somebody-"+name, "v1/ConfigMap", "a", `data: {key: "`+name+`"}`)
		f.proxy.Inject(nil)
		f.wantsData("a", "one")
	}
}

// The lists of a kind fail for a while: whoever has objects of it waits, and
// nobody else.
func TestFaultListsFail(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	revision := f.push(map[string]string{
		"victim/s.yaml":    "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: $NS}\nstringData: {key: one}\n",
		"bystander/c.yaml": configMap("by", "fine"),
	})
	f.proxy.Inject(func(r *http.Request) testkit.Fault {
		if r.Method == http.MethodGet && r.URL.Path == "/api/v1/secrets" {
			return testkit.Fault{Code: http.StatusServiceUnavailable}
		}
		return testkit.Fault{}
	})
	f.start("victim")
	f.start("bystander")
	f.awaitReady("bystander", revision)
	f.undisturbed()
	f.proxy.Inject(nil)
	f.awaitReady("victim", revision)
}

// An object that is deleted, or replaced by somebody's own, between two writes
// of one apply is put right.
func TestFaultObjectGoesInMidApply(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	f.two()
	f.start("victim")
	f.eventually("b is there", func() bool { return f.live("v1/ConfigMap", "b") != nil })
	var once atomic.Bool
	f.proxy.Inject(func(r *http.Request) testkit.Fault {
		if f.writes(r, "b") && !dryRun(r) && once.CompareAndSwap(false, true) {
			a := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "a"}}
			if err := kube.Delete(r.Context(), a); err != nil {
				t.Error(err)
			}
			foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "a"}, Data: map[string]string{"key": "foreign"}}
			// The apply may have been quicker; then it was only deleted.
			if err := kube.Create(r.Context(), foreign); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Error(err)
			}
		}
		return testkit.Fault{}
	})
	revision := f.push(map[string]string{"victim/a.yaml": configMap("a", "two"), "victim/b.yaml": configMap("b", "two")})
	f.awaitReady("victim", revision)
	f.wantsData("a", "two")
	f.wantsData("b", "two")
}

// The rest of the faults are the cluster's own: the shared controller has them.

func TestFaultDefinitionComesAfterItsObjects(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	group := s.ns + ".example.com"
	revision := s.push(map[string]string{"w.yaml": "apiVersion: " + group + "/v1\nkind: Late\nmetadata: {name: w, namespace: $NS}\nspec: {size: 1}\n"})
	s.create("app", func(k *kustomizev1.Kustomization) { k.Spec.RetryInterval = &metav1.Duration{Duration: time.Second} })
	got := s.awaitFailure("app", kustomizev1.ReconciliationFailedReason)
	for _, want := range []string{"Late/" + s.ns + "/w", "install its CustomResourceDefinition first"} {
		if !strings.Contains(got, want) {
			t.Errorf("message %q, want %q in it", got, want)
		}
	}
	s.must(kube.Create(t.Context(), definition(group, "Late", "lates", "v1")))
	s.awaitReady("app", revision)
	s.patch("somebody", group+"/v1/Late", "w", "spec: {size: 2}")
	s.eventually("drift of the new kind is put back", func() bool {
		size, _, _ := unstructured.NestedInt64(s.live(group+"/v1/Late", "w").Object, "spec", "size")
		return size == 1
	})
}

func TestFaultConversionFails(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	group := s.ns + ".example.com"
	crd := definition(group, "Twofold", "twofolds", "v1", "v2")
	nowhere := "https://127.0.0.1:1/convert"
	crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{
		Strategy: apiextensionsv1.WebhookConverter,
		Webhook: &apiextensionsv1.WebhookConversion{
			ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: &nowhere},
			ConversionReviewVersions: []string{"v1"},
		},
	}
	s.must(kube.Create(t.Context(), crd))
	revision := s.push(map[string]string{
		"victim/t.yaml":    "apiVersion: " + group + "/v2\nkind: Twofold\nmetadata: {name: t, namespace: $NS}\nspec: {size: 1}\n",
		"bystander/c.yaml": configMap("by", "fine"),
	})
	for _, name := range []string{"victim", "bystander"} {
		s.create(name, func(k *kustomizev1.Kustomization) {
			k.Spec.Path, k.Spec.RetryInterval = "./"+name, &metav1.Duration{Duration: time.Second}
		})
	}
	s.awaitReady("bystander", revision)
	if got := s.awaitFailure("victim", kustomizev1.ReconciliationFailedReason); !strings.Contains(got, "Twofold/"+s.ns+"/t") || !strings.Contains(got, "conversion webhook") {
		t.Errorf("message %q, want the object and the conversion webhook in it", got)
	}
	s.must(kube.Patch(t.Context(), crd, client.RawPatch(types.MergePatchType, []byte(`{"spec": {"conversion": {"strategy": "None", "webhook": null}}}`))))
	s.awaitReady("victim", revision)
}

func TestFaultWebhookIsDown(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}
	s.must(kube.Patch(t.Context(), namespace, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"labels": {"guarded": "`+s.ns+`"}}}`))))
	nowhere, none, fail := "https://127.0.0.1:1/validate", admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Fail
	hook := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.ns},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "guard.example.com", SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: &nowhere},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"guarded": s.ns}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
	s.must(kube.Create(t.Context(), hook))
	revision := s.push(map[string]string{
		"victim/s.yaml":    "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: $NS}\nspec: {ports: [{port: 80}]}\n",
		"victim/c.yaml":    configMap("a", "one"),
		"bystander/c.yaml": configMap("by", "fine"),
	})
	for _, name := range []string{"victim", "bystander"} {
		s.create(name, func(k *kustomizev1.Kustomization) {
			k.Spec.Path, k.Spec.RetryInterval = "./"+name, &metav1.Duration{Duration: time.Second}
		})
	}
	s.awaitReady("bystander", revision)
	if got := s.awaitFailure("victim", kustomizev1.ReconciliationFailedReason); !strings.Contains(got, "Service/"+s.ns+"/s") || !strings.Contains(got, "guard.example.com") {
		t.Errorf("message %q, want the object and the webhook in it", got)
	}
	if s.live("v1/ConfigMap", "a") != nil {
		t.Error("a ConfigMap was written although the Service beside it was refused")
	}
	s.must(kube.Delete(t.Context(), hook))
	s.awaitReady("victim", revision)
}

func TestFaultNamespaceIsTerminating(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	going := s.ns + "-going"
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: going}}))
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: going, Name: "held", Finalizers: []string{"example.com/hold"}}}
	s.must(kube.Create(t.Context(), held))
	s.must(kube.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: going}}))
	revision := s.push(map[string]string{
		"victim/n.yaml":    "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + going + "}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: " + going + "}\n",
		"bystander/c.yaml": configMap("by", "fine"),
	})
	for _, name := range []string{"victim", "bystander"} {
		s.create(name, func(k *kustomizev1.Kustomization) {
			k.Spec.Path, k.Spec.RetryInterval = "./"+name, &metav1.Duration{Duration: time.Second}
		})
	}
	s.awaitReady("bystander", revision)
	if got := s.awaitFailure("victim", kustomizev1.ReconciliationFailedReason); !strings.Contains(got, "ConfigMap/"+going+"/new") || !strings.Contains(got, "being terminated") {
		t.Errorf("message %q, want the object, and that its namespace is being terminated", got)
	}
	s.must(kube.Patch(t.Context(), held, client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`))))
	s.awaitReady("victim", revision)
	s.must(kube.Get(t.Context(), client.ObjectKey{Namespace: going, Name: "new"}, &corev1.ConfigMap{}))
}
