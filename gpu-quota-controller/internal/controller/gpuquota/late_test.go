// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpuquota_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// slow registers another webhook for the pods of a namespace, which takes its
// time: until the function that is returned is called, once or more.
func (s *suite) slow(ns string) (release func()) {
	s.Helper()
	waiting := make(chan struct{})
	release = sync.OnceFunc(func() { close(waiting) })
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := &admissionv1.AdmissionReview{}
		if err := json.NewDecoder(r.Body).Decode(review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		<-waiting
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	s.Cleanup(server.Close)
	s.Cleanup(release)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "slow-" + ns},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "slow.test.weir.dev", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionregistrationv1.SideEffectClassNone), TimeoutSeconds: new(int32(30)),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	s.must(kube.Create(s.Context(), configuration))
	s.Cleanup(func() { _ = kube.Delete(context.WithoutCancel(s.Context()), configuration) })
	return release
}

// A pod that is stored 50 s after it was admitted finds its GPUs reserved, and
// is counted once.
func TestPodIsStoredLate(t *testing.T) {
	s := newSuite(t)
	ns, other := s.full(), s.namespace("b", "team")
	release := s.slow(ns)
	s.eventually("the other webhook is asked", func() bool {
		ctx, cancel := context.WithTimeout(s.Context(), 300*time.Millisecond)
		defer cancel()
		return kube.Create(ctx, pod(ns, "probe", 1), client.DryRunAll) != nil
	})
	done := make(chan error, 1)
	go func() { done <- kube.Create(t.Context(), pod(ns, "late", 3)) }()
	s.awaitFigures("team", "team", "0", "3")
	for range 2 {
		hours.Step(25 * time.Second)
		s.create(pod(other, "counts", 1)) // so that the tree is counted
		s.awaitFigures("team", "team", "1", "3")
		s.must(kube.Delete(s.Context(), pod(other, "counts", 1), client.GracePeriodSeconds(0)))
		s.awaitFigures("team", "team", "0", "3")
	}
	s.denied(pod(other, "stranger", 2))
	release()
	s.must(<-done)
	s.awaitFigures("team", "team", "3", "0")
	hours.Step(2 * time.Minute)
	s.awaitFigures("team", "team", "3", "0")
	s.denied(pod(other, "stranger", 2))
}

// A ReplicaSet whose pods are rejected by something later, each time under
// another name, reserves no more than there is, is told of, and all of it goes.
func TestReplicaSetIsAlwaysRejectedLater(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	none := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	s.must(kube.Create(s.Context(), none))
	s.eventually("the quota of Kubernetes is in force", func() bool {
		s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(none), none))
		return none.Status.Hard != nil
	})
	s.must(kube.Create(s.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"},
		Spec:       appsv1.ReplicaSetSpec{Replicas: new(int32(2)), Selector: selector("app"), Template: template("app", 1)},
	}))
	s.awaitFigures("team", "team", "0", "4")
	s.elapse("strays are told of", func() bool {
		return conditions.GetReason(s.get("team"), fluxmeta.ReadyCondition) == quotav1.StraysReason
	})
	s.must(kube.Delete(s.Context(), none))
	s.elapse("the pods are there, and nothing else", func() bool {
		balance := s.record("team").Balance(s.name("team"))[quotav1.DefaultDevice]
		return len(s.uids(ns, "app")) == 2 && balance.Used.String() == "2" && balance.Reserved.IsZero()
	})
}

// elapse puts the clock forward until something holds, and returns by how much.
func (s *suite) elapse(what string, done func() bool) (took time.Duration) {
	s.Helper()
	s.eventually(what, func() bool {
		if done() {
			return true
		}
		hours.Step(2 * time.Second)
		took += 2 * time.Second
		return false
	})
	return took
}

// post sends a review to the webhook past the API server, as anybody in the
// cluster network can.
func (s *suite) post(review *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	s.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Name: "gpu-quota"}, configuration))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}}
	defer web.CloseIdleConnections()
	body, err := json.Marshal(review)
	s.must(err)
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, fmt.Sprintf("https://localhost:%d/validate-pods", controller.port), bytes.NewReader(body))
	s.must(err)
	request.Header.Set("Content-Type", "application/json")
	answer, err := web.Do(request)
	s.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	s.must(err)
	got := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(text, got); err != nil || got.Response == nil {
		s.Fatalf("%s: %s", answer.Status, text)
	}
	return got.Response
}

// A review that nobody but its sender knows of takes GPUs for a minute and a
// half, no more than there are, and is told of. It neither frees anything nor
// touches what a real pod of that name has.
func TestForgedReviews(t *testing.T) {
	s := newSuite(t)
	ns := s.full()
	s.create(pod(ns, "real", 1))
	s.awaitFigures("team", "team", "1", "0")
	forge := func(name string, gpus int64) *admissionv1.AdmissionResponse {
		forged := pod(ns, name, gpus)
		forged.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
		forged.UID = types.UID("forged-" + name)
		text, err := json.Marshal(forged)
		s.must(err)
		return s.post(&admissionv1.AdmissionReview{
			TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
			Request: &admissionv1.AdmissionRequest{
				UID: "forged", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
				Namespace: ns, Name: name, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: text},
			},
		})
	}
	if got := forge("real", 2); !got.Allowed {
		t.Fatalf("%+v", got.Result)
	}
	if got := forge("another", 1); !got.Allowed {
		t.Fatalf("%+v", got.Result)
	}
	if got := forge("too-many", 1); got.Allowed {
		t.Error("more was admitted than there is")
	}
	s.awaitFigures("team", "team", "1", "3")
	told := s.elapse("strays are told of", func() bool {
		return conditions.GetReason(s.get("team"), fluxmeta.ReadyCondition) == quotav1.StraysReason
	})
	took := told + s.elapse("nothing is reserved any more", func() bool { return len(s.record("team").Reservations) == 0 })
	if took < 90*time.Second || took > 3*time.Minute {
		t.Errorf("they were dropped after %s", took)
	}
	s.awaitFigures("team", "team", "1", "0")
	s.create(pod(ns, "next", 3))
}
