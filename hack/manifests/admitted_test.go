// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/platform"
)

// TestOverlaysAreAccepted dry-runs every overlay, and what comes after one.
func TestOverlaysAreAccepted(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		s := installed(t, "")
		in.applyBasis(t, s)
		s.checkAccepted(t, in.objects)
	})
	t.Run("self", func(t *testing.T) {
		t.Parallel()
		installed(t, "").checkAccepted(t, build(t, filepath.Join(bootstrapDir, "self")))
	})
}

// applyBasis applies for good what the dry-runs of the rest need.
func (in *installation) applyBasis(t *testing.T, s *server) {
	t.Helper()
	for _, object := range in.objects {
		if kind := object.GetKind(); kind == "Namespace" || kind == "ServiceAccount" {
			if err := s.apply(t.Context(), object, false); err != nil {
				t.Fatalf("%s: %v", identify(object), err)
			}
		}
	}
}

// TestPodsAreAdmitted asks the API server whether the pods could be created in
// their namespace, which enforces the restricted profile.
func TestPodsAreAdmitted(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		s := installed(t, "")
		in.applyBasis(t, s)
		config := cluster.Config()
		config.WarningHandlerWithContext = s
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		create := func(spec *corev1.PodSpec) error {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "try-"}, Spec: *spec}
			_, err := client.CoreV1().Pods(in.namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}
		for name, d := range in.deployments {
			spec := d.Spec.Template.Spec.DeepCopy()
			err, warnings := create(spec), s.takeWarnings()
			if err != nil || len(warnings) > 0 {
				t.Errorf("a pod of %s: %v, warnings %q", name, err, warnings)
			}
			spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
			if err := create(spec); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "restricted") {
				t.Errorf("a pod of %s that may escalate its privileges: %v, want a refusal", name, err)
			}
			s.takeWarnings()
		}
	})
}

// TestArguments starts every controller as its container would be, but where
// there is no cluster: that is what it must complain of, and not an argument.
func TestArguments(t *testing.T) {
	t.Parallel()
	p, err := platform.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := p.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	forEach(t, func(t *testing.T, in *installation) {
		for name, d := range in.deployments {
			c := d.Spec.Template.Spec.Containers[0]
			program, _, _ := strings.Cut(name, "-shard")
			// Its pod has a port 9440 of its own, and these processes share this machine's.
			args := append(arguments(c, in.namespace), "--health-addr=127.0.0.1:0")
			command := exec.CommandContext(t.Context(), filepath.Join("..", "..", "bin", program), args...)
			command.Env = []string{"HOME=" + t.TempDir(), "RUNTIME_NAMESPACE=" + in.namespace}
			var stderr bytes.Buffer
			command.Stderr = &stderr
			if err := command.Run(); err == nil || !strings.Contains(stderr.String(), "find a Kubernetes API server") {
				t.Errorf("%s %q: %v: %s", name, command.Args[1:], err, stderr.String())
			}
		}
	})
}

// arguments of a container as the kubelet expands them.
func arguments(c corev1.Container, namespace string) []string {
	args := slices.Clone(c.Args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "$(RUNTIME_NAMESPACE)", namespace)
	}
	return args
}

// TestArgumentsOfOverlays checks the arguments that overlays add to those of
// the default installation.
func TestArgumentsOfOverlays(t *testing.T) {
	t.Parallel()
	election := []string{"--leader-election-lease-duration=10s", "--leader-election-renew-deadline=8s", "--leader-election-retry-period=2s"}
	main := []string{"--watch-label-selector=!" + shardKey}
	shard := []string{"--watch-label-selector=" + shardKey + "=shard1"}
	want := map[string]map[string][]string{
		"full": nil, "minimal": nil, "drop-in": nil,
		"high-availability": {
			"source-controller": election, "kustomize-controller": election, "helm-controller": election,
			"gpu-quota-controller": election, "image-automation-controller": election,
		},
		"sharded": {
			"source-controller": main, "kustomize-controller": main, "helm-controller": main,
			"source-controller-shard1":    append(slices.Clone(shard), "--storage-adv-addr=source-controller-shard1.$(RUNTIME_NAMESPACE).svc.cluster.local."),
			"kustomize-controller-shard1": shard, "helm-controller-shard1": shard,
		},
		"locked-down": {
			"kustomize-controller": {
				"--default-service-account=default", "--default-decryption-service-account=default",
				"--no-cross-namespace-refs=true", "--no-remote-bases=true",
			},
			"helm-controller":             {"--default-service-account=default", "--no-cross-namespace-refs=true"},
			"image-automation-controller": {"--no-cross-namespace-refs=true"},
		},
	}
	base := overlays()["full"].build(t).deployments
	forEach(t, func(t *testing.T, in *installation) {
		name, _, _ := strings.Cut(strings.TrimPrefix(t.Name(), "TestArgumentsOfOverlays/"), "#")
		for controller, d := range in.deployments {
			without, _, _ := strings.Cut(controller, "-shard")
			expected := append(slices.Clone(base[without].Spec.Template.Spec.Containers[0].Args), want[name][controller]...)
			if diff := cmp.Diff(expected, d.Spec.Template.Spec.Containers[0].Args); diff != "" {
				t.Errorf("%s (-want +got):\n%s", controller, diff)
			}
		}
	})
}

// TestHighAvailability checks that every controller has a standby and a budget.
func TestHighAvailability(t *testing.T) {
	t.Parallel()
	in := overlays()["high-availability"].build(t)
	for name, d := range in.deployments {
		if *d.Spec.Replicas < 2 || in.budgets[name] == nil || in.budgets[name].Spec.MinAvailable.IntVal != 1 {
			t.Errorf("%s has %d replicas and budget %v", name, *d.Spec.Replicas, in.budgets[name])
		}
	}
}

// TestDropInOverFlux applies the Deployments of the drop-in over Deployments as
// Flux has them: from Git, and back, and by hand. Another selector, or a field
// with two values, would be refused.
func TestDropInOverFlux(t *testing.T) {
	t.Parallel()
	s := installed(t, "")
	in := overlays()["drop-in"].build(t)
	in.applyBasis(t, s)
	text, err := os.ReadFile("testdata/flux-deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range in.objects {
		name := object.GetName()
		if object.GetKind() != "Deployment" || name == "gpu-quota-controller" {
			continue
		}
		theirs, err := parse(bytes.ReplaceAll(text, []byte("NAME"), []byte(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			manager string
			object  *unstructured.Unstructured
		}{{"kustomize-controller", theirs}, {"kustomize-controller", object}, {"kustomize-controller", theirs}, {"kubectl", object}} {
			if err := s.applyAs(t.Context(), step.manager, step.object); err != nil {
				t.Errorf("%s by %s: %v", identify(object), step.manager, err)
			}
		}
	}
}

// applyAs applies for good as a field manager that takes what is not its own.
func (s *server) applyAs(ctx context.Context, manager string, object *unstructured.Unstructured) error {
	resource, err := s.resource(object)
	if err != nil {
		return err
	}
	body, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager, Force: new(true)})
	return err
}
