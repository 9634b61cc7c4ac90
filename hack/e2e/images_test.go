// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/hack/platform"
)

// hold is a hook that lets a push wait until somebody decides about it.
const hold = `touch held
until [ -e decided ]; do sleep 0.05; done
[ ! -e refused ]`

// TestKilledWhileItPushes kills image-automation-controller with a push in the
// hands of the server, which then either takes it or does not. Either way the
// model is in Git exactly once after a restart, and the status knows.
func TestKilledWhileItPushes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), bringUp)
	defer cancel()
	p := startImages(ctx, t)
	for _, tc := range []struct {
		model platform.Model
		taken bool
	}{
		{platform.Model{Tag: "1.1.0", Accuracy: "0.94", Latency: "40"}, false},
		{platform.Model{Tag: "1.2.0", Accuracy: "0.95", Latency: "40"}, true},
	} {
		held := func(name string) string { return filepath.Join(p.Repository.Bare.Dir, name) }
		for _, name := range []string{"held", "decided", "refused"} {
			if err := os.RemoveAll(held(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Repository.Bare.Hook("pre-receive", hold); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Models.Publish(tc.model); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, p, func(context.Context) error {
			_, err := os.Stat(held("held"))
			return err
		})
		if err := p.Image.Kill(); err != nil {
			t.Fatal(err)
		}
		decide(t, held, tc.taken)
		if tc.taken {
			await(ctx, t, p, func(ctx context.Context) error { return releases(ctx, p, tc.model.Tag, 1) })
		}
		if err := p.Repository.Bare.Hook("pre-receive", ""); err != nil {
			t.Fatal(err)
		}
		if err := p.Image.Start(ctx); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, p, func(ctx context.Context) error { return recorded(ctx, p) })
		if err := releases(ctx, p, tc.model.Tag, 1); err != nil {
			t.Error(err)
		}
	}
}

// TestTwoControllersAtOnce runs two without leader election, as nobody should:
// whatever they do to each other, each model is committed once.
func TestTwoControllersAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), bringUp)
	defer cancel()
	p := startImages(ctx, t)
	if err := p.StartImageController(ctx); err != nil {
		t.Fatal(err)
	}
	for i, accuracy := range []string{"0.94", "0.95", "0.96", "0.97", "0.98"} {
		model := platform.Model{Tag: fmt.Sprintf("2.%d.0", i), Accuracy: accuracy, Latency: "40"}
		if _, err := p.Models.Publish(model); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, p, func(ctx context.Context) error { return releases(ctx, p, model.Tag, 1) })
	}
	await(ctx, t, p, func(ctx context.Context) error { return recorded(ctx, p) })
	log, err := p.Repository.Bare.Git(ctx, "log", "--format=%(trailers:key=Image,valueonly)", "main")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(strings.Fields(log)); got != 5 {
		t.Errorf("%d commits for 5 models:\n%s", got, log)
	}
}

// decide has the hook take or refuse the push that it holds.
func decide(t *testing.T, file func(string) string, taken bool) {
	t.Helper()
	files := []string{"decided"}
	if !taken {
		files = []string{"refused", "decided"}
	}
	for _, name := range files {
		if err := os.WriteFile(file(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// startImages brings up a cluster with image-automation-controller alone, and
// the example's automation at rest.
func startImages(ctx context.Context, t *testing.T) *platform.Platform {
	t.Helper()
	p, err := platform.StartBare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && p.Image != nil {
			t.Logf("image-automation-controller:\n%s", p.Image.LogTail(30))
		}
		if err := p.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	if err := p.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = p.Repository.Push(ctx, platform.Change{Author: "Ada Okafor <ada@acme-ml.example>", Message: "Set up the platform"})
	if err == nil {
		err = p.Connect(ctx)
	}
	if err == nil {
		err = p.StartImageController(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	await(ctx, t, p, func(ctx context.Context) error {
		_, err := automation(ctx, p)
		return err
	})
	return p
}

// await repeats check until it passes.
func await(ctx context.Context, t *testing.T, p *platform.Platform, check func(context.Context) error) {
	t.Helper()
	if err := platform.Await(ctx, check); err != nil {
		a, _ := automation(context.WithoutCancel(ctx), p)
		t.Fatalf("%v; the automation is %+v", err, a)
	}
}

// automation returns the example's automation, with an error unless it is
// Ready.
func automation(ctx context.Context, p *platform.Platform) (*imagev1.ImageUpdateAutomation, error) {
	object, err := p.Resource(imagev1.GroupVersion.WithResource("imageupdateautomations")).
		Namespace(platform.PlatformNamespace).Get(ctx, "models", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	a := &imagev1.ImageUpdateAutomation{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, a); err != nil {
		return nil, err
	}
	for _, c := range a.Status.Conditions {
		if c.Type == imagev1.ReadyCondition && c.Status == metav1.ConditionTrue && a.Status.ObservedGeneration == a.Generation {
			return a, nil
		}
	}
	return a, errors.New("the automation is not ready")
}

// releases returns nil if the branch has a number of commits that brought a
// model into Git.
func releases(ctx context.Context, p *platform.Platform, tag string, want int) error {
	log, err := p.Repository.Bare.Git(ctx, "log", "--format=%(trailers:key=Image,valueonly)", "main")
	if err != nil {
		return err
	}
	if got := strings.Count(log, ":"+tag+"@"); got != want {
		return fmt.Errorf("%d commits bring model %s, want %d:\n%s", got, tag, want, log)
	}
	return nil
}

// recorded returns nil if the status names the last commit of the branch.
func recorded(ctx context.Context, p *platform.Platform) error {
	a, err := automation(ctx, p)
	if err != nil {
		return err
	}
	tip, err := p.Repository.Bare.Git(ctx, "rev-parse", "main")
	if err == nil && a.Status.LastPushCommit != strings.TrimSpace(tip) {
		err = fmt.Errorf("the status names the commit %q, and the branch is at %q", a.Status.LastPushCommit, tip)
	}
	return err
}
