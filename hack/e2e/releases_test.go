// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// phases is how many requests that change something an action is cut off at:
// more than any of the actions below has, so that every request of each is the
// one that the controller dies at.
const phases = 24

// TestKilledInEveryPhase kills helm-controller with kill -9 at every request by
// which an install, an upgrade, a failed upgrade with its rollback, and an
// uninstall change anything, tests and hooks included. Started again, it
// finishes each of them without help.
func TestKilledInEveryPhase(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), bringUp)
	defer cancel()
	r := startReleases(ctx, t)

	good := testkit.HelmChart{Name: "app", Version: "1.0.0"}.ConfigMap("config", "one").ConfigMap("more", "one").
		Hook("before", "pre-install,pre-upgrade", 0, "{{ .Release.Revision }}").Hook("after", "post-install,post-upgrade", 0, "{{ .Release.Revision }}").
		Hook("check", "test", 0, "ok")
	r.publish(ctx, good)
	r.during(ctx, "install", func() { r.createAll(ctx) }, func(ctx context.Context, n string) error {
		return r.released(ctx, n, "1.0.0", "one")
	})

	second := good.ConfigMap("config", "two")
	second.Version = "2.0.0"
	r.during(ctx, "upgrade", func() { r.publish(ctx, second) }, func(ctx context.Context, n string) error {
		return r.released(ctx, n, "2.0.0", "two")
	})

	// The API server refuses the Service, after the ConfigMap was changed.
	bad := second.ConfigMap("config", "three").With("templates/zz.yaml", `apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}-zz"}
spec: {ports: [{port: -1}]}
`)
	bad.Version = "3.0.0"
	r.during(ctx, "failed upgrade and rollback", func() { r.publish(ctx, bad) }, func(ctx context.Context, n string) error {
		return r.rolledBack(ctx, n, "two")
	})

	mended := second.ConfigMap("config", "four")
	mended.Version = "4.0.0"
	r.during(ctx, "upgrade after a failure", func() { r.publish(ctx, mended) }, func(ctx context.Context, n string) error {
		return r.released(ctx, n, "4.0.0", "four")
	})

	r.during(ctx, "uninstall", func() { r.deleteAll(ctx) }, r.gone)
}

// released returns nil if a version of the chart is released, tested and Ready.
func (r *releasesRig) released(ctx context.Context, namespace, version, value string) error {
	release, ready, err := r.get(ctx, namespace)
	if err != nil {
		return err
	}
	latest := release.Status.History
	switch {
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("not ready: %s: %s", ready.Reason, ready.Message)
	case len(latest) == 0 || latest[0].ChartVersion != version || latest[0].Status != "deployed":
		return fmt.Errorf("the history does not begin with %s, deployed: %+v", version, latest)
	case release.Status.Failures != 0:
		return fmt.Errorf("%d failures were counted", release.Status.Failures)
	case latest[0].TestHooks == nil || len(*latest[0].TestHooks) != 1:
		return errors.New("the test was not run")
	}
	return r.stored(ctx, namespace, latest[0].Version, value)
}

// rolledBack returns nil if a failed upgrade was undone and nothing more is
// tried.
func (r *releasesRig) rolledBack(ctx context.Context, namespace, value string) error {
	release, ready, err := r.get(ctx, namespace)
	if err != nil {
		return err
	}
	history := release.Status.History
	switch {
	case apimeta.FindStatusCondition(release.Status.Conditions, "Stalled") == nil:
		return fmt.Errorf("still at it: %s: %s", ready.Reason, ready.Message)
	case len(history) == 0 || history[0].Status != "deployed" || history[0].ChartVersion != "2.0.0":
		return fmt.Errorf("the history does not begin with 2.0.0, deployed: %+v", history)
	case !apimeta.IsStatusConditionTrue(release.Status.Conditions, helmv2.RemediatedCondition):
		return errors.New("not remediated")
	}
	return r.stored(ctx, namespace, history[0].Version, value)
}

// stored returns nil if the record of a version, and no other, is deployed, no
// record is left half-way, and the objects are as that version has them.
func (r *releasesRig) stored(ctx context.Context, namespace string, version int, value string) error {
	var records corev1.SecretList
	if err := r.client.List(ctx, &records, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm"}); err != nil {
		return err
	}
	deployed := 0
	for i := range records.Items {
		labels := records.Items[i].Labels
		if strings.HasPrefix(labels["status"], "pending") {
			return fmt.Errorf("record %s is %s", records.Items[i].Name, labels["status"])
		}
		if labels["status"] == "deployed" {
			deployed++
			if labels["version"] != fmt.Sprint(version) {
				return fmt.Errorf("version %s is deployed, want %d", labels["version"], version)
			}
		}
	}
	if deployed != 1 {
		return fmt.Errorf("%d records are deployed", deployed)
	}
	for name, want := range map[string]string{"app-config": value, "app-more": "one"} {
		object := &corev1.ConfigMap{}
		if err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
			return err
		}
		if object.Data["value"] != want {
			return fmt.Errorf("%s has %q, want %q", name, object.Data["value"], want)
		}
	}
	return nil
}

// gone returns nil if nothing of a release is left but what hooks leave.
func (r *releasesRig) gone(ctx context.Context, namespace string) error {
	err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "app"}, &helmv2.HelmRelease{})
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("the HelmRelease is there: %w", err)
	}
	var records corev1.SecretList
	if err := r.client.List(ctx, &records, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm"}); err != nil {
		return err
	}
	if len(records.Items) > 0 {
		return fmt.Errorf("%d records are left", len(records.Items))
	}
	for _, name := range []string{"app-config", "app-more"} {
		err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.ConfigMap{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is left: %w", name, err)
		}
	}
	return nil
}

func (r *releasesRig) get(ctx context.Context, namespace string) (*helmv2.HelmRelease, metav1.Condition, error) {
	release := &helmv2.HelmRelease{}
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "app"}, release); err != nil {
		return nil, metav1.Condition{}, err
	}
	ready := apimeta.FindStatusCondition(release.Status.Conditions, helmv2.ReadyCondition)
	if ready == nil || ready.ObservedGeneration != release.Generation || release.Status.Weir != nil && release.Status.Weir.Pending != nil {
		return nil, metav1.Condition{}, errors.New("not reconciled")
	}
	return release, *ready, nil
}
