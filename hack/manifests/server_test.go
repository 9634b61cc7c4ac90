// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// server applies objects with one account's rights and keeps the warnings.
type server struct {
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper

	mu       sync.Mutex
	warnings []string
}

// connect makes a server that acts as the administrator, or as the given user
// if there is one.
func connect(user string) (*server, error) {
	s := &server{}
	config := cluster.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	config.WarningHandlerWithContext = s
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))
	s.objects, err = dynamic.NewForConfig(config)
	return s, err
}

// installed returns a server, acting as connect says, on which everything
// stands that the dry-runs of the rest need: the locked-down Weir and, of the
// example, its Weir objects, namespaces and roles. No controller runs, so they
// stay as they are.
func installed(t *testing.T, user string) *server {
	t.Helper()
	if err := install(); err != nil {
		t.Fatalf("install: %v", err)
	}
	s, err := connect(user)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// install is done once, for the cluster that the tests share.
var install = sync.OnceValue(func() error {
	s, err := connect("")
	if err != nil {
		return err
	}
	infra := filepath.Join(exampleDir, "infra", "dev")
	for _, dir := range []string{lockedDownDir, filepath.Join(infra, "weir"), filepath.Join(infra, "platform")} {
		objects, err := render(dir)
		if err != nil {
			return err
		}
		if err := s.applyAll(context.Background(), objects); err != nil {
			return err
		}
	}
	return awaitRights(context.Background())
})

// awaitRights returns once the authorizer has seen the teams' roles, which is
// a moment after they were written.
func awaitRights(ctx context.Context) error {
	for _, team := range []string{"data", "training", "serving"} {
		config := cluster.Config()
		config.Impersonate.UserName = "system:serviceaccount:llm-platform:" + team
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
			_, err := client.CoreV1().ConfigMaps("team-"+team).List(ctx, metav1.ListOptions{})
			if apierrors.IsForbidden(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return fmt.Errorf("wait for the rights of %s: %w", config.Impersonate.UserName, err)
		}
	}
	return nil
}

// HandleWarningHeaderWithContext keeps a warning of the API server.
func (s *server) HandleWarningHeaderWithContext(_ context.Context, _ int, _ string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, text)
}

// takeWarnings returns the warnings since the last call.
func (s *server) takeWarnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	warnings := s.warnings
	s.warnings = nil
	return warnings
}

func (s *server) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := object.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return s.objects.Resource(mapping.Resource), nil
	}
	return s.objects.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}

// apply sends one server-side apply, strict about unknown fields. With dryRun
// nothing is written.
func (s *server) apply(ctx context.Context, object *unstructured.Unstructured, dryRun bool) error {
	resource, err := s.resource(object)
	if err != nil {
		return err
	}
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: "test", Force: new(true), FieldValidation: metav1.FieldValidationStrict}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, body, options)
	return err
}

// create asks whether the object could be created. Nothing is written.
func (s *server) create(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := s.resource(object)
	if err != nil {
		return err
	}
	_, err = resource.Create(ctx, object, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// checkAccepted dry-runs every object and fails for each error and warning.
func (s *server) checkAccepted(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		if err := s.apply(t.Context(), object, true); err != nil {
			t.Errorf("%s is not accepted: %v", identify(object), err)
		}
		for _, warning := range s.takeWarnings() {
			t.Errorf("%s: warning: %s", identify(object), warning)
		}
	}
}

// applyAll applies in the given order and waits for the kinds among them.
func (s *server) applyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := s.apply(ctx, object, false); err != nil {
			return fmt.Errorf("apply %s: %w", identify(object), err)
		}
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if err := s.awaitEstablished(ctx, object.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// awaitEstablished returns once objects of a custom kind can be created.
func (s *server) awaitEstablished(ctx context.Context, name string) error {
	crds := s.objects.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		crd, err := crds.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		// Null at first, which NestedSlice takes for a mistake.
		found, _, err := unstructured.NestedFieldNoCopy(crd.Object, "status", "conditions")
		conditions, _ := found.([]any)
		return slices.ContainsFunc(conditions, func(c any) bool {
			condition, _ := c.(map[string]any)
			return condition["type"] == "Established" && condition["status"] == "True"
		}), err
	})
	if err != nil {
		return fmt.Errorf("wait for CustomResourceDefinition %s: %w", name, err)
	}
	s.mapper.Reset()
	return nil
}
