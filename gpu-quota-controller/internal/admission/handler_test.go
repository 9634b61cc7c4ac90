// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

// books is a Ledger in memory with one tree.
type books struct {
	mu     sync.Mutex
	record *ledger.Record
	fail   error
	claims []ledger.Claim
}

func (b *books) Admit(_ context.Context, _ string, claim ledger.Claim) (ledger.Decision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims = append(b.claims, claim)
	if b.fail != nil {
		return ledger.Decision{}, b.fail
	}
	return b.record.Admit(claim), nil
}

func (b *books) Get(context.Context, string) (*ledger.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.record.Clone(), b.fail
}

// routes: the namespace team draws on the quota team, and others on none.
type routes struct{ catalogue *gpu.Catalogue }

func (r routes) Owner(_ context.Context, namespace string) (Route, bool, error) {
	switch namespace {
	case "team":
		return Route{Quota: "team", Root: "root", Catalogue: r.catalogue}, true, nil
	case "nowhere":
		return Route{}, false, fmt.Errorf("find the GPUQuota of namespace nowhere: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, namespace))
	case "slow":
		return Route{}, false, errors.New("the API server does not answer")
	}
	return Route{}, false, nil
}

// walks: every ReplicaSet is of the Deployment app.
type walks struct{ fail error }

func (w walks) Walk(_ context.Context, controller *holdings.Owner) ([]holdings.Owner, error) {
	chain := []holdings.Owner{*controller}
	if w.fail == nil && controller.Kind == "ReplicaSet" {
		chain = append(chain, holdings.Owner{APIVersion: "apps/v1", Kind: "Deployment", Namespace: controller.Namespace, Name: "app", UID: "deployment"})
	}
	return chain, w.fail
}

type noted []string

func (n *noted) Add(root string, claim ledger.Claim, controller holdings.Owner) {
	*n = append(*n, root+" "+claim.Name+" "+controller.Name)
}

type rig struct {
	*Handler
	books  *books
	denied *noted
	lines  *[]string
}

// newRig has 8 GPUs for the quota team, and the handler that decides about
// them.
func newRig(t testing.TB) rig {
	t.Helper()
	catalogue, err := gpu.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &books{record: &ledger.Record{Quotas: map[string]ledger.Quota{
		"root": {}, "team": {Parent: "root", Hard: gpu.Amounts{"gpu": gpu.Whole(8)}},
	}}}
	denied, lines := &noted{}, &[]string{}
	return rig{books: b, denied: denied, lines: lines, Handler: &Handler{
		Router: routes{catalogue}, Ledger: b, Walker: walks{}, Node: func(string) map[string]string { return nil },
		Excluded: func(namespace string) bool { return namespace == "kube-system" },
		Denied:   denied, Metrics: NewMetrics(),
		Log: funcr.New(func(_, args string) { *lines = append(*lines, args) }, funcr.Options{}),
	}}
}

// newPod asks for GPUs in the namespace team.
func newPod(name string, gpus int64) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "c",
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"nvidia.com/gpu": *resource.NewQuantity(gpus, resource.DecimalSI)}},
		}}},
	}
}

func controlledBy(pod *corev1.Pod, kind, name string) *corev1.Pod {
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: types.UID(name), Controller: new(true)}}
	return pod
}

func reviewOf(t testing.TB, pod *corev1.Pod, change ...func(*admissionv1.AdmissionReview)) *admissionv1.AdmissionReview {
	t.Helper()
	r := &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "request", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Namespace: pod.Namespace, Name: pod.Name, Operation: admissionv1.Create, Object: raw(t, pod),
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func raw(t testing.TB, pod *corev1.Pod) runtime.RawExtension {
	t.Helper()
	text, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: text}
}

func dryRun(r *admissionv1.AdmissionReview) { r.Request.DryRun = new(true) }

func resize(t testing.TB, before *corev1.Pod) func(*admissionv1.AdmissionReview) {
	return func(r *admissionv1.AdmissionReview) {
		r.Request.Operation, r.Request.SubResource, r.Request.OldObject = admissionv1.Update, "resize", raw(t, before)
	}
}

// send posts a review and returns the answer, which is for the review.
func (r rig) send(t testing.TB, review *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/validate-pods?timeout=5s", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	r.ServeHTTP(recorder, request)
	answer := &admissionv1.AdmissionReview{}
	if err := json.Unmarshal(recorder.Body.Bytes(), answer); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("%d: %s (%v)", recorder.Code, recorder.Body, err)
	}
	if answer.Kind != "AdmissionReview" || answer.APIVersion != "admission.k8s.io/v1" || answer.Response.UID != review.Request.UID {
		t.Errorf("the answer is not one to the review: %+v", answer)
	}
	return answer.Response
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	in := func(namespace string, pod *corev1.Pod) *corev1.Pod {
		pod.Namespace = namespace
		return pod
	}
	cpu := newPod("cpu", 0)
	cpu.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	fraction := newPod("half", 0)
	fraction.Annotations = map[string]string{"gpu-fraction": "a lot"}
	for name, tc := range map[string]struct {
		pod      *corev1.Pod
		change   []func(*admissionv1.AdmissionReview)
		setup    func(*rig)
		code     int32
		message  string
		reserved int
	}{
		"fits":              {pod: newPod("a", 8), reserved: 1},
		"does not fit":      {pod: newPod("a", 4), setup: func(r *rig) { r.use(6) }, code: 403, message: `exceeded quota: GPUQuota "team": gpu requested 4, used 6, reserved 0, hard 8, over by 2`},
		"can never fit":     {pod: newPod("a", 9), code: 403, message: `GPUQuota "team": gpu requested 9 can never fit, hard 8`},
		"no GPUs":           {pod: cpu},
		"dry-run":           {pod: newPod("a", 8), change: []func(*admissionv1.AdmissionReview){dryRun}},
		"dry-run, too many": {pod: newPod("a", 8), change: []func(*admissionv1.AdmissionReview){dryRun}, setup: func(r *rig) { r.use(1) }, code: 403, message: `exceeded quota: GPUQuota "team"`},
		"another's":         {pod: in("other", newPod("a", 99))},
		"another's, denied": {pod: in("other", newPod("a", 1)), setup: func(r *rig) { r.DenyUnselected = true }, code: 403, message: "namespace other draws on no GPUQuota"},
		"another's, no GPU": {pod: in("other", cpu.DeepCopy()), setup: func(r *rig) { r.DenyUnselected = true }},
		"the system's":      {pod: in("kube-system", newPod("a", 99)), setup: func(r *rig) { r.DenyUnselected = true }},
		"no such namespace": {pod: in("nowhere", newPod("a", 1)), code: 400, message: "there is no namespace nowhere"},
		"namespace unknown": {pod: in("slow", newPod("a", 1)), code: 429, message: "does not answer"},
		"closed":            {pod: newPod("a", 1), setup: func(r *rig) { r.books.record.Closed = "etcd was restored" }, code: 429, message: "etcd was restored"},
		"unreadable":        {pod: newPod("a", 1), setup: func(r *rig) { r.books.fail = ledger.ErrUnreadable }, code: 429, message: "not readable"},
		"conflict":          {pod: newPod("a", 1), setup: func(r *rig) { r.books.fail = fmt.Errorf("write: %w", ledger.ErrConflict) }, code: 429, message: "could not be written"},
		"unreadable, dry":   {pod: newPod("a", 1), change: []func(*admissionv1.AdmissionReview){dryRun}, setup: func(r *rig) { r.books.fail = ledger.ErrUnreadable }, code: 429, message: "not readable"},
		"no such fraction":  {pod: fraction, code: 403, message: "what the pod asks for cannot be counted"},
		"resize grows":      {pod: newPod("a", 8), change: []func(*admissionv1.AdmissionReview){resize(t, newPod("a", 4))}, setup: func(r *rig) { r.use(5) }, code: 403, message: `exceeded quota: GPUQuota "team": gpu requested 4, used 5`},
		"resize grows, and fits": {
			pod: newPod("a", 8), change: []func(*admissionv1.AdmissionReview){resize(t, newPod("a", 4))}, setup: func(r *rig) { r.use(4) }, reserved: 1,
		},
		"resize shrinks": {pod: newPod("a", 1), change: []func(*admissionv1.AdmissionReview){resize(t, newPod("a", 8))}, setup: func(r *rig) { r.use(9) }},
		"resize of memory": {
			pod: newPod("a", 4), change: []func(*admissionv1.AdmissionReview){resize(t, newPod("a", 4))}, setup: func(r *rig) { r.use(9) },
		},
		"suspended": {pod: newPod("a", 99), setup: func(r *rig) { r.team(func(q *ledger.Quota) { q.Suspended = true }) }, reserved: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if tc.setup != nil {
				tc.setup(&r)
			}
			got := r.send(t, reviewOf(t, tc.pod, tc.change...))
			if got.Allowed != (tc.code == 0) {
				t.Fatalf("allowed %t: %+v", got.Allowed, got.Result)
			}
			if n := len(r.books.record.Reservations); n != tc.reserved {
				t.Errorf("%d reservations, want %d", n, tc.reserved)
			}
			if got.Allowed {
				return
			}
			if got.Result.Code != tc.code || !strings.Contains(got.Result.Message, tc.message) {
				t.Errorf("%d %q, want %d %q", got.Result.Code, got.Result.Message, tc.code, tc.message)
			}
			if strings.HasPrefix(tc.message, "exceeded") != strings.HasPrefix(got.Result.Message, `exceeded quota: GPUQuota "`) {
				t.Errorf("workflow engines take %q for what it is not", got.Result.Message)
			}
			if retryable := got.Result.Details.RetryAfterSeconds > 0; retryable != (tc.code == 429) {
				t.Errorf("retry after %d s with %d", got.Result.Details.RetryAfterSeconds, tc.code)
			}
		})
	}
}

func (r *rig) team(change func(*ledger.Quota)) {
	q := r.books.record.Quotas["team"]
	change(&q)
	r.books.record.Quotas["team"] = q
}

func (r *rig) use(gpus int64) {
	r.team(func(q *ledger.Quota) { q.Used = gpu.Amounts{"gpu": gpu.Whole(gpus)} })
}

func TestWarn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.team(func(q *ledger.Quota) { q.Admission = quotav1.Warn })
	got := r.send(t, reviewOf(t, newPod("a", 9)))
	if !got.Allowed || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], `GPUQuota "team": gpu requested 9, used 0, reserved 0, hard 8, over by 1`) {
		t.Errorf("answer: %+v", got)
	}
	if len(r.books.record.Reservations) != 1 {
		t.Error("what was only warned about is not counted")
	}
}

// TestDenialIsTold: one line in the log, the causes in the answer, and who made
// the pod is remembered; none of it in a dry-run but the causes.
func TestDenialIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.use(8)
	pod := controlledBy(newPod("app-1", 2), "ReplicaSet", "app-rs")
	for _, change := range [][]func(*admissionv1.AdmissionReview){{dryRun}, nil} {
		got := r.send(t, reviewOf(t, pod, change...))
		want := []metav1.StatusCause{{Type: "GPUQuotaExceeded", Field: "team/gpu", Message: "gpu requested 2, used 8, reserved 0, hard 8, over by 2"}}
		if diff := cmp.Diff(want, got.Result.Details.Causes); diff != "" {
			t.Errorf("causes (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(noted{"root app-1 app-rs"}, *r.denied); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
	if len(*r.lines) != 1 || !strings.Contains((*r.lines)[0], "ReplicaSet/app-rs") || !strings.Contains((*r.lines)[0], "over by 2") {
		t.Errorf("lines in the log: %q", *r.lines)
	}
	// Admissions are no news. A pod that can never fit does when somebody raises the limit.
	r.use(0)
	r.send(t, reviewOf(t, controlledBy(newPod("app-2", 1), "ReplicaSet", "app-rs")))
	r.send(t, reviewOf(t, controlledBy(newPod("app-3", 99), "ReplicaSet", "app-rs")))
	if diff := cmp.Diff(noted{"root app-1 app-rs", "root app-3 app-rs"}, *r.denied); diff != "" || len(*r.lines) != 2 {
		t.Errorf("lines in the log %q, remembered (-want +got):\n%s", *r.lines, diff)
	}
}

// TestClaims checks what the ledger is asked for.
func TestClaims(t *testing.T) {
	t.Parallel()
	bare := newPod("a", 1)
	other := controlledBy(newPod("a", 1), "ReplicaSet", "rs")
	other.OwnerReferences[0].Controller = nil
	for name, tc := range map[string]struct {
		pod   *corev1.Pod
		walk  error
		owner types.UID
		chain []string
	}{
		"nobody's":           {pod: bare},
		"an owner's":         {pod: other},
		"a Deployment's":     {pod: controlledBy(newPod("a", 1), "ReplicaSet", "rs"), owner: "deployment", chain: []string{"apps/ReplicaSet/team/rs", "apps/Deployment/team/app"}},
		"a StatefulSet's":    {pod: controlledBy(newPod("a", 1), "StatefulSet", "db"), owner: "db", chain: []string{"apps/StatefulSet/team/db"}},
		"nobody knows whose": {pod: controlledBy(newPod("a", 1), "ReplicaSet", "rs"), walk: errors.New("forbidden"), owner: "rs", chain: []string{"apps/ReplicaSet/team/rs"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.Walker = walks{tc.walk}
			if got := r.send(t, reviewOf(t, tc.pod)); !got.Allowed {
				t.Fatal(got.Result)
			}
			want := []ledger.Claim{{
				Pod: "uid-a", Namespace: "team", Name: "a", Quota: "team", Amounts: gpu.Amounts{"gpu": gpu.Whole(1)}, Total: gpu.Whole(1),
				Owner: tc.owner, Chain: tc.chain,
			}}
			if diff := cmp.Diff(want, r.books.claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTotal: a pod that could land on two classes asks for one GPU.
func TestTotal(t *testing.T) {
	t.Parallel()
	catalogue, err := gpu.Compile([]quotav1.Device{
		{Name: "h100", Match: quotav1.DeviceMatch{ResourceNames: []string{"nvidia.com/gpu"}, NodeLabels: map[string]string{"product": "h100"}}},
		{Name: "a100", Match: quotav1.DeviceMatch{ResourceNames: []string{"nvidia.com/gpu"}, NodeLabels: map[string]string{"product": "a100"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.Router = routes{catalogue}
	r.Node = func(name string) map[string]string { return map[string]string{"product": name} }
	r.books.record.Devices = nil
	r.send(t, reviewOf(t, newPod("a", 2)))
	bound := newPod("b", 2)
	bound.Spec.NodeName = "a100"
	r.send(t, reviewOf(t, bound))
	var got []string
	for _, claim := range r.books.claims {
		var amounts []string
		for class, amount := range claim.Amounts {
			amounts = append(amounts, class+" "+amount.String())
		}
		slices.Sort(amounts)
		got = append(got, strings.Join(amounts, ", ")+" of "+claim.Total.String())
	}
	if diff := cmp.Diff([]string{"a100 2, h100 2 of 2", "a100 2 of 2"}, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// TestForeignReviews: what the API server would not send is refused in words,
// and leaves nothing.
func TestForeignReviews(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(reviewOf(t, newPod("a", 1)))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*admissionv1.AdmissionReview)) string {
		text, err := json.Marshal(reviewOf(t, newPod("a", 1), change))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	type sent struct {
		method, contentType, body string
		status                    int
		message                   string
	}
	post := func(body string, status int, message string) sent {
		return sent{http.MethodPost, "application/json", body, status, message}
	}
	withPod := func(change func(*corev1.Pod)) func(*admissionv1.AdmissionReview) {
		return func(r *admissionv1.AdmissionReview) {
			pod := newPod("a", 1)
			change(pod)
			r.Request.Object = raw(t, pod)
		}
	}
	for name, tc := range map[string]sent{
		"GET":              {http.MethodGet, "application/json", "", 400, "not how reviews are sent"},
		"text":             {http.MethodPost, "text/plain", string(good), 400, "application/json"},
		"nothing":          post("", 400, "no review"),
		"junk":             post("{", 400, "no review"),
		"a list":           post("[]", 400, "no review"),
		"null":             post("null", 400, "no AdmissionReview"),
		"another kind":     post(`{"kind":"Pod","apiVersion":"v1"}`, 400, "no AdmissionReview"),
		"an old version":   post(strings.Replace(string(good), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), 400, "no AdmissionReview"),
		"no request":       post(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, 400, "no request"),
		"no uid":           post(changed(func(r *admissionv1.AdmissionReview) { r.Request.UID = "" }), 400, "no uid"),
		"huge":             post(strings.Replace(string(good), `"spec"`, `"x":"`+strings.Repeat("x", maxBody)+`","spec"`, 1), 413, "too large"),
		"a wrong field":    post(strings.Replace(string(good), `"containers":[`, `"containers":[7,`, 1), 400, "no review of a pod"),
		"a wrong quantity": post(strings.Replace(string(good), `"nvidia.com/gpu":"1"`, `"nvidia.com/gpu":"lots"`, 1), 400, "no review of a pod"),
		"not of pods":      post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Kind.Kind = "Deployment" }), 200, "pods of v1"),
		"not of v1":        post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Resource.Group = "example.com" }), 200, "pods of v1"),
		"an update":        post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Operation = admissionv1.Update }), 200, "and nothing else"),
		"a deletion":       post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Operation = admissionv1.Delete }), 200, "and nothing else"),
		"a binding":        post(changed(func(r *admissionv1.AdmissionReview) { r.Request.SubResource = "binding" }), 200, "and nothing else"),
		"no pod":           post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Object = runtime.RawExtension{} }), 200, "no name or no uid"),
		"pod without uid":  post(changed(withPod(func(p *corev1.Pod) { p.UID = "" })), 200, "no name or no uid"),
		"pod without name": post(changed(withPod(func(p *corev1.Pod) { p.Name = "" })), 200, "no name or no uid"),
		"no namespace":     post(changed(func(r *admissionv1.AdmissionReview) { r.Request.Namespace = "" }), 200, "namespace of the pod"),
		"two namespaces":   post(changed(withPod(func(p *corev1.Pod) { p.Namespace = "other" })), 200, "namespace of the pod"),
		"create of two":    post(changed(func(r *admissionv1.AdmissionReview) { r.Request.OldObject = raw(t, newPod("a", 1)) }), 200, "no older state"),
		"resize of two": post(changed(func(r *admissionv1.AdmissionReview) {
			r.Request.Operation, r.Request.SubResource, r.Request.OldObject = admissionv1.Update, "resize", raw(t, newPod("b", 8))
		}), 200, "one pod"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			request := httptest.NewRequest(tc.method, "/validate-pods", strings.NewReader(tc.body))
			request.Header.Set("Content-Type", tc.contentType)
			recorder := httptest.NewRecorder()
			r.ServeHTTP(recorder, request)
			body := recorder.Body.String()
			if recorder.Code != tc.status || !strings.Contains(body, tc.message) {
				t.Errorf("%d %s, want %d with %q", recorder.Code, body, tc.status, tc.message)
			}
			if tc.status == http.StatusOK && (!strings.Contains(body, `"allowed":false`) || !strings.Contains(body, `"code":400`)) {
				t.Errorf("not refused: %s", body)
			}
			if len(r.books.claims) > 0 || len(r.books.record.Reservations) > 0 {
				t.Error("it left something in the ledger")
			}
		})
	}
}

// BenchmarkReview is one pod of the size that controllers make, from the bytes
// of the review to those of the answer.
func BenchmarkReview(b *testing.B) {
	for name, gpus := range map[string]int64{"gpu": 1, "cpu": 0} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			r.Log = logr.Discard()
			r.team(func(q *ledger.Quota) { q.Hard = nil })
			pod := controlledBy(newPod("a", gpus), "ReplicaSet", "rs")
			for i := range 20 {
				pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", i), Value: "value"})
			}
			pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:containers":{}}}`)}}
			body, err := json.Marshal(reviewOf(b, pod))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				request := httptest.NewRequest(http.MethodPost, "/validate-pods", bytes.NewReader(body))
				request.Header.Set("Content-Type", "application/json")
				recorder := httptest.NewRecorder()
				r.ServeHTTP(recorder, request)
				if recorder.Code != http.StatusOK {
					b.Fatal(recorder.Body)
				}
			}
		})
	}
}
