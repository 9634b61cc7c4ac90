// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The tests of this file share the one configuration of the cluster, so they
// run one after the other.

// TestConfigurationIsKept follows the configuration from the first quota to
// the last, through what people and other programs do to it.
func TestConfigurationIsKept(t *testing.T) {
	createNamespace(t, "kept")
	createNamespace(t, "kept-team")
	r := start(t, "kept", freePort(t), DefaultLifetimes())
	within(t, 10*time.Second, func() error { return r.certificates.Check(nil) })
	if configuration(t) != nil {
		t.Fatal("there is a configuration without a quota")
	}

	r.selection.Store(&Selection{Names: []string{"kept-team"}, Keys: []string{team}, Condition: "true"})
	r.keeper.Wake()
	inPlace := func() error {
		want := r.keeper.Settings.Configuration(*r.selection.Load(), r.certificates.Trusted())
		config := configuration(t)
		if config == nil || cmp.Diff(want.Webhooks, config.Webhooks) != "" || len(config.OwnerReferences) != 1 {
			return errNot
		}
		return nil
	}
	within(t, 5*time.Second, inPlace)
	within(t, 5*time.Second, func() error {
		if err := ask(t, "kept-team"); err != nil {
			return err
		}
		if r.asked.Load() == 0 {
			return errNot
		}
		return nil
	})

	client := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	for name, patch := range map[string]string{
		"failure policy":     `[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]`,
		"authorities":        `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`,
		"conditions":         `[{"op":"remove","path":"/webhooks/1/matchConditions"}]`,
		"an entry":           `[{"op":"remove","path":"/webhooks/0"}]`,
		"all entries":        `[{"op":"remove","path":"/webhooks"}]`,
		"namespace selector": `[{"op":"replace","path":"/webhooks/1/namespaceSelector","value":{}}]`,
		"labels":             `[{"op":"remove","path":"/metadata/labels"}]`,
		"owner":              `[{"op":"remove","path":"/metadata/ownerReferences"}]`,
	} {
		if _, err := client.Patch(t.Context(), ConfigurationName, types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		within(t, time.Second, inPlace)
	}
	if err := client.Delete(t.Context(), ConfigurationName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, inPlace)

	r.leaving.Store(true)
	within(t, 3*time.Second, func() error {
		if configuration(t) != nil {
			return errNot
		}
		return nil
	})
	r.leaving.Store(false)
	within(t, 3*time.Second, inPlace)
	r.selection.Store(&Selection{})
	r.keeper.Wake()
	within(t, time.Second, func() error {
		if configuration(t) != nil {
			return errNot
		}
		return nil
	})
}

// TestDefaultsAreWritten: what the API server would fill in is there already,
// or the keeper would write for ever.
func TestDefaultsAreWritten(t *testing.T) {
	settings := Settings{Namespace: "kept", Excluded: []string{"kube-system"}}
	want := settings.Configuration(Selection{Names: []string{"a"}, Keys: []string{team, tier}, Condition: "true"}, nil)
	got, err := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().
		Create(t.Context(), want, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Fatal(err)
	}
	if !upToDate(got, want) {
		t.Errorf("the API server changes it (-want +got):\n%s", cmp.Diff(want.Webhooks, got.Webhooks))
	}
}

// TestRotationWhileServing: with lifetimes of seconds, certificates and
// authorities change several times while pods are created, by two replicas
// that share a Secret, and the API server is answered every time.
func TestRotationWhileServing(t *testing.T) {
	createNamespace(t, "rotating")
	createNamespace(t, "rotating-team")
	short := Lifetimes{CA: 9 * time.Second, Server: 6 * time.Second, Ahead: 4 * time.Second, Overlap: time.Second}
	port := freePort(t)
	r := start(t, "rotating", port, short)
	standby := &Certificates{Secrets: kube.CoreV1().Secrets("rotating"), Host: "localhost", Lifetimes: short, Log: r.keeper.Log}
	go func() {
		if err := standby.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	r.selection.Store(&Selection{Names: []string{"rotating-team"}, Condition: "true"})
	r.keeper.Wake()
	within(t, 10*time.Second, func() error {
		if err := ask(t, "rotating-team"); err != nil {
			return err
		}
		if r.asked.Load() == 0 {
			return errNot
		}
		return nil
	})
	defer func() {
		r.selection.Store(&Selection{})
		r.keeper.Wake()
		within(t, 5*time.Second, func() error {
			if configuration(t) != nil {
				return errNot
			}
			return nil
		})
	}()

	var authorities, certificates [][]byte
	note := func(seen *[][]byte, pem []byte) {
		if !slices.ContainsFunc(*seen, func(other []byte) bool { return bytes.Equal(pem, other) }) {
			*seen = append(*seen, pem)
		}
	}
	before := r.asked.Load()
	var pods int64
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); pods++ {
		if err := ask(t, "rotating-team"); err != nil {
			t.Fatalf("pod %d, after %d authorities and %d certificates: %v", pods, len(authorities), len(certificates), err)
		}
		current := r.certificates.current.Load()
		note(&authorities, current.ca)
		note(&certificates, current.cert)
	}
	if len(authorities) < 3 || len(certificates) < 3 {
		t.Errorf("%d authorities and %d certificates in the time, want at least 3 of each", len(authorities), len(certificates))
	}
	if asked := r.asked.Load() - before; asked != pods {
		t.Errorf("asked %d times about %d pods", asked, pods)
	}
	within(t, 5*time.Second, func() error {
		if !bytes.Equal(standby.Trusted(), r.certificates.Trusted()) {
			return errNot
		}
		return nil
	})
	t.Logf("%d pods, %d authorities, %d certificates", pods, len(authorities), len(certificates))
}

// TestSecretIsRestored: a Secret that is deleted or damaged comes back as it
// was, since the replicas still have what was in it.
func TestSecretIsRestored(t *testing.T) {
	createNamespace(t, "restoring")
	secrets := kube.CoreV1().Secrets("restoring")
	r := start(t, "restoring", freePort(t), DefaultLifetimes())
	within(t, 10*time.Second, func() error { return r.certificates.Check(nil) })
	want := r.certificates.current.Load().material
	restored := func() error {
		secret, err := secrets.Get(t.Context(), SecretName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !materialOf(secret.Data).equal(want) || !r.certificates.current.Load().equal(want) {
			return errNot
		}
		return nil
	}
	within(t, 5*time.Second, restored)
	if err := secrets.Delete(t.Context(), SecretName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, restored)
	if _, err := secrets.Patch(t.Context(), SecretName, types.MergePatchType, []byte(`{"data":{"tls.key":"anVuaw==","ca.key":""}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, restored)
	if secret, err := secrets.Get(t.Context(), SecretName, metav1.GetOptions{}); err != nil || secret.Type != corev1.SecretTypeTLS {
		t.Errorf("type %v (%v)", secret.Type, err)
	}
}

// TestAnswersPass checks what of an answer reaches who created the pod.
func TestAnswersPass(t *testing.T) {
	createNamespace(t, "passing")
	createNamespace(t, "passing-team")
	r := start(t, "passing", freePort(t), DefaultLifetimes())
	r.selection.Store(&Selection{Names: []string{"passing-team"}, Condition: "true"})
	r.keeper.Wake()
	within(t, 10*time.Second, func() error {
		if err := ask(t, "passing-team"); err != nil {
			return err
		}
		if r.asked.Load() == 0 {
			return errNot
		}
		return nil
	})

	cause := metav1.StatusCause{Type: "GPUQuotaExceeded", Field: "team/gpu", Message: "over by 1"}
	deny := func(response *admissionv1.AdmissionResponse) {
		response.Allowed = false
		response.Result = &metav1.Status{
			Code: 403, Reason: metav1.StatusReasonForbidden, Message: `exceeded quota: GPUQuota "team": over`, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{cause}},
		}
	}
	r.respond.Store(&deny)
	err := ask(t, "passing-team")
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		t.Fatalf("denied: %v", err)
	}
	if got, want := err.Error(), `admission webhook "names.gpu-quota.weir.dev" denied the request: exceeded quota: GPUQuota "team": over`; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if diff := cmp.Diff([]metav1.StatusCause{cause}, status.Status().Details.Causes); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}

	// Clients of the API try again by themselves after 429.
	var refused atomic.Int64
	busy := func(response *admissionv1.AdmissionResponse) {
		if refused.Add(1) <= 2 {
			response.Allowed = false
			response.Result = &metav1.Status{Code: 429, Reason: metav1.StatusReasonTooManyRequests, Message: "busy", Details: &metav1.StatusDetails{RetryAfterSeconds: 1}}
		}
	}
	r.respond.Store(&busy)
	if err := ask(t, "passing-team"); err != nil || refused.Load() != 3 {
		t.Errorf("after %d answers: %v, want success with the third", refused.Load(), err)
	}

	// Whoever removes the namespace of the controller removes the webhook.
	r.stop()
	if err := kube.CoreV1().Namespaces().Delete(t.Context(), "passing", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, func() error {
		if configuration(t) != nil {
			return errNot
		}
		return nil
	})
}
