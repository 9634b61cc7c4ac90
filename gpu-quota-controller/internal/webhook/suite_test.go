// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-gitops/weir/pkg/testkit"
)

var kube *kubernetes.Clientset

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.New(log.NullLogSink{}))
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) {
		var err error
		if kube, err = kubernetes.NewForConfig(c.Config()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}))
}

// replica is a webhook that says yes to everything, and counts.
type replica struct {
	certificates *Certificates
	keeper       *Keeper
	port         int
	asked        atomic.Int64
	selection    atomic.Pointer[Selection]
	leaving      atomic.Bool
	// respond changes what it says.
	respond atomic.Pointer[func(*admissionv1.AdmissionResponse)]
	stop    func()
}

// start runs a replica. Several of them share what is in a namespace.
func start(t *testing.T, namespace string, port int, lifetimes Lifetimes) *replica {
	t.Helper()
	r := &replica{port: port}
	r.selection.Store(&Selection{})
	r.certificates = &Certificates{Secrets: kube.CoreV1().Secrets(namespace), Host: "localhost", Lifetimes: lifetimes, Log: logr.Discard()}
	r.keeper = NewKeeper(&Keeper{
		Client:    kube.AdmissionregistrationV1().ValidatingWebhookConfigurations(),
		Settings:  Settings{Namespace: namespace, URL: "https://localhost:" + strconv.Itoa(port) + Path, Excluded: []string{"kube-system"}},
		Selection: func() (Selection, bool) { return *r.selection.Load(), true },
		Trusted:   r.certificates.Trusted,
		Owner: func(ctx context.Context) (metav1.OwnerReference, error) {
			ns, err := kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
			return metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: namespace, UID: ns.UID}, err
		},
		Leaving: r.leaving.Load,
		Log:     logr.Discard(),
	})
	r.certificates.Changed = r.keeper.Wake
	server := NewServer("127.0.0.1", port, r.certificates, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if respond := r.respond.Load(); respond != nil {
			(*respond)(review.Response)
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{r.certificates.Start, r.keeper.Start, server.Start} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	r.stop = func() { cancel(); running.Wait() }
	t.Cleanup(r.stop)
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := testkit.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func createNamespace(t *testing.T, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := kube.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := kube.CoreV1().ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// ask creates a pod in a dry-run.
func ask(t *testing.T, namespace string) error {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "c",
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}},
		}}},
	}
	_, err := kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func configuration(t *testing.T) *admissionregistrationv1.ValidatingWebhookConfiguration {
	t.Helper()
	config, err := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), ConfigurationName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// within fails the test unless check returns nil in time.
func within(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", limit, err)
		case <-ticker.C:
		}
	}
}

var errNot = errors.New("not yet")
