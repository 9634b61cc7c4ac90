// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// remember keeps who the applied objects are.
func (w *world) remember(t *testing.T) {
	t.Helper()
	uids, err := w.identities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(uids) < 40 {
		t.Fatalf("only %d objects are applied", len(uids))
	}
	w.before = uids
}

// survived compares with what was remembered. The same objects have to be there,
// but for those that may be gone; and they are the very same by their UIDs, if
// none is named that was to go and come back.
func (w *world) survived(t *testing.T, back string, gone ...string) {
	t.Helper()
	after, err := w.identities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for ref, uid := range w.before {
		switch {
		case after[ref] == "" && !slices.Contains(gone, ref):
			t.Errorf("%s is gone", ref)
		case back == "" && after[ref] != uid:
			t.Errorf("%s is another one now", ref)
		}
	}
	if back != "" && (w.before[back] == "" || after[back] == w.before[back]) {
		t.Errorf("%s was to go and come back, and is the one that it was", back)
	}
}

// identities are the UIDs of what the Kustomizations say that they have
// applied, but for Weir's own kinds.
func (w *world) identities(ctx context.Context) (map[string]string, error) {
	all, err := w.Kustomizations(ctx)
	if err != nil {
		return nil, err
	}
	uids := map[string]string{}
	for i := range all {
		inv, err := platform.Inventory(&all[i])
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(inv, func(ref inventory.Ref, _ string) bool { return strings.HasSuffix(ref.Group, ".toolkit.fluxcd.io") })
		live, err := w.Live(ctx, inv)
		if err != nil {
			return nil, err
		}
		for ref, object := range live {
			uids[ref.Kind+"/"+ref.Namespace+"/"+ref.Name] = string(object.GetUID())
		}
	}
	return uids, nil
}

// released returns nil when no object of Weir's has a finalizer.
func (w *world) released(ctx context.Context) error {
	var errs []error
	for _, kind := range []schema.GroupVersionResource{platform.Kustomizations, platform.GitRepositories, platform.HelmReleases} {
		list, err := w.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			if finalizers := list.Items[i].GetFinalizers(); len(finalizers) > 0 {
				errs = append(errs, fmt.Errorf("%s %s has %v", kind.Resource, list.Items[i].GetName(), finalizers))
			}
		}
	}
	return errors.Join(errs...)
}

// suspended waits until everything is suspended, or nothing is but the release of
// serving, which somebody suspended on purpose.
func (w *world) suspended(t *testing.T, want bool) {
	t.Helper()
	w.await(t, "suspended", func(ctx context.Context) error {
		printed, err := w.try(ctx, `kubectl get kustomizations,helmreleases,imageupdateautomations -A -o go-template='{{range .items}}{{.kind}}/{{.metadata.name}} {{if .spec.suspend}}true{{else}}false{{end}}{{"\n"}}{{end}}'`)
		if err != nil {
			return fmt.Errorf("%w: %s", err, printed)
		}
		states := map[string]string{}
		for line := range strings.Lines(printed) {
			name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
			states[name] = state
			if state != strconv.FormatBool(want || name == "HelmRelease/serving") {
				return fmt.Errorf("%s: suspended %s", name, state)
			}
		}
		for _, name := range []string{"Kustomization/chat", "HelmRelease/accelerators", "HelmRelease/serving", "ImageUpdateAutomation/models"} {
			if states[name] == "" {
				return fmt.Errorf("%s is not there", name)
			}
		}
		return nil
	})
}
