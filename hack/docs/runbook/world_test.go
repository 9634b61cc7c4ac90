// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	root = "../../.."
	// bringUp is how long it may take until everything is Ready, the build of
	// the controllers included.
	bringUp = 10 * time.Minute
	// perStep bounds a block of commands, and what comes of it.
	perStep = 3 * time.Minute
	// moved is where the pages say that a repository goes which has lost its server.
	moved = "https://git.example.com/acme-ml/llm-platform.git"
)

// A world is what the pages assume: the example platform, in the care of Weir,
// and a shell in a working copy of it, beside a checkout of Weir.
type world struct {
	*platform.Platform
	core kubernetes.Interface
	// empty is a snapshot of the cluster from before anything was installed.
	empty string
	env   []string
	// replace has what stands on the pages for addresses that exist here only.
	replace []string
	kubelet *kubelet
	// before has the UIDs of what was applied, by kind, namespace and name.
	before map[string]string
	// servers are those that a page needs beside that of the platform.
	servers []*testkit.GitServer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bringUp)
	defer cancel()
	p, err := platform.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Platform: p, empty: filepath.Join(p.Dir(), "empty.db")}
	t.Cleanup(func() {
		if t.Failed() {
			for _, c := range p.Controllers() {
				t.Logf("%s:\n%s", c.Name, c.LogTail(15))
			}
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), perStep)
		defer cancel()
		if err := w.stop(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{
		p.Build,
		func(ctx context.Context) error { return p.StartCluster(ctx, 2) },
		func(ctx context.Context) error { return p.Cluster.Snapshot(ctx, w.empty) },
		p.Install, p.StartControllers, p.Serve, w.settle, w.furnish,
	} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// settle commits the example, ties it to the cluster, and waits until it runs.
func (w *world) settle(ctx context.Context) error {
	commit, err := w.Repository.Push(ctx, platform.Change{Author: author, Message: "Set up the platform"})
	if err != nil {
		return err
	}
	if err := w.Connect(ctx); err != nil {
		return err
	}
	w.core, err = kubernetes.NewForConfig(w.Cluster.Config())
	if err != nil {
		return err
	}
	w.kubelet = startKubelet(context.WithoutCancel(ctx), w.Platform, w.core)
	return platform.Await(ctx, func(ctx context.Context) error { return w.Applied(ctx, commit) })
}

const author = "Ada Okafor <ada@acme-ml.example>"

// furnish prepares the shell: bootstrap beside infra, the tools of the cluster,
// and an identity for git.
func (w *world) furnish(ctx context.Context) error {
	checkout, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(checkout, "bootstrap"), filepath.Join(w.Repository.Dir, "bootstrap")); err != nil {
		return err
	}
	// What the pages write there is not to be committed with the rest.
	if err := os.WriteFile(filepath.Join(w.Repository.Dir, ".git", "info", "exclude"), []byte("/*\n!/infra\n"), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{{"fetch", "--quiet", "origin"}, {"branch", "--quiet", "--set-upstream-to=origin/main"}} {
		if _, err := w.Repository.Git(ctx, args...); err != nil {
			return err
		}
	}
	tools := filepath.Join(w.Dir(), "tools")
	build := exec.CommandContext(ctx, "go", "build", "-o", tools+"/", "filippo.io/age/cmd/age-keygen")
	build.Dir, build.Env = filepath.Join(root, "kustomize-controller"), append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build age-keygen: %w: %s", err, out)
	}
	w.env = append(os.Environ(),
		"PATH="+strings.Join([]string{w.Cluster.Assets(), tools, os.Getenv("PATH")}, string(os.PathListSeparator)),
		"KUBECONFIG="+w.Cluster.Kubeconfig(), "KUBECACHEDIR="+filepath.Join(w.Dir(), "kubectl"), "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Okafor", "GIT_AUTHOR_EMAIL=ada@acme-ml.example",
		"GIT_COMMITTER_NAME=Ada Okafor", "GIT_COMMITTER_EMAIL=ada@acme-ml.example")
	return nil
}

// stop ends everything. A controller that a page has stopped is no error.
func (w *world) stop(ctx context.Context) error {
	for _, server := range w.servers {
		server.Close()
	}
	if w.kubelet != nil {
		w.kubelet.end()
	}
	var errs []error
	for _, c := range w.Controllers() {
		if !c.Running() {
			errs = append(errs, c.Start(ctx))
		}
	}
	return errors.Join(append(errs, w.Stop(context.WithoutCancel(ctx)))...)
}

// run types a script, fails the test if one of its commands fails, and returns
// what was printed.
func (w *world) run(t *testing.T, script string) string {
	t.Helper()
	out, err := w.try(t.Context(), script)
	if err != nil {
		t.Fatalf("%v of\n%s\n%s", err, script, out)
	}
	t.Logf("%s\n%s", script, out)
	return out
}

// fails returns nil if a script fails and prints these words.
func (w *world) fails(ctx context.Context, words, script string) error {
	out, err := w.try(ctx, script)
	switch {
	case err == nil:
		return fmt.Errorf("it succeeds, and should fail with %q: %s", words, out)
	case !strings.Contains(out, words):
		return fmt.Errorf("it fails without a word of %q: %w: %s", words, err, out)
	}
	return nil
}

func (w *world) try(ctx context.Context, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, perStep)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", strings.NewReplacer(w.replace...).Replace(script))
	cmd.Dir, cmd.Env = w.Repository.Dir, w.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// await fails the test if check does not come to return nil.
func (w *world) await(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), perStep)
	defer cancel()
	if err := platform.Await(ctx, check); err != nil {
		t.Fatalf("%s: %v; of the controllers: %v", what, err, w.kubelet.complaint())
	}
}

// writeFiles writes the examples of a page that begin with a comment which
// names a file.
func (w *world) writeFiles(t *testing.T, page *markdown.Page) {
	t.Helper()
	for _, b := range page.Blocks {
		first, _, _ := strings.Cut(b.Text, "\n")
		name, ok := strings.CutPrefix(first, "# ")
		if b.Language != "yaml" || !ok || filepath.Ext(name) != ".yaml" || strings.Contains(name, " ") {
			continue
		}
		path := filepath.Join(w.Repository.Dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o750)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.NewReplacer(w.replace...).Replace(b.Text)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
