// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package pods

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/hack/platform"
)

// A rig is a test with a namespace of its own, named after its folder of testdata.
type rig struct {
	*testing.T
	ctx  context.Context
	site *platform.Platform
	name string
	// overlay is the one below bootstrap that Weir was installed from; "" is
	// bootstrap itself.
	overlay string
	// values are what stands between @ signs in the files of testdata.
	values map[string]string
	repo   *platform.Repository
}

// newRig makes a rig with a repository of the files in testdata/<name>/repo, of
// which the first commit is pushed.
func newRig(t *testing.T, site *platform.Platform, name string, values map[string]string) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &rig{T: t, ctx: ctx, site: site, name: name, values: map[string]string{"IMAGES": platform.ImagesRegistry}}
	maps.Copy(r.values, values)
	repo, err := site.AddRepository(ctx, name, r.files("repo"))
	if err != nil {
		t.Fatal(err)
	}
	r.repo, r.values["GIT"] = repo, repo.URL
	r.push(platform.Change{Message: "Begin"})
	t.Cleanup(func() {
		if t.Failed() {
			r.diagnose(context.WithoutCancel(ctx))
		}
	})
	return r
}

// files are those of a folder of the rig's testdata, filled in.
func (r *rig) files(folder string) fs.FS {
	r.Helper()
	filled, root := fstest.MapFS{}, os.DirFS(filepath.Join("testdata", r.name, folder))
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, file)
		filled[file] = &fstest.MapFile{Data: []byte(r.fill(string(content))), Mode: 0o600}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return filled
}

func (r *rig) fill(text string) string {
	for key, value := range r.values {
		text = strings.ReplaceAll(text, "@"+key+"@", value)
	}
	return text
}

// apply applies a file of the rig's testdata as an administrator does.
func (r *rig) apply(file string) {
	r.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", r.name, file))
	if err != nil {
		r.Fatal(err)
	}
	filled := filepath.Join(r.TempDir(), filepath.Base(file))
	if err := os.WriteFile(filled, []byte(r.fill(string(content))), 0o600); err != nil {
		r.Fatal(err)
	}
	r.kubectl("apply", "--server-side", "--filename="+filled)
}

// push commits as Ada and returns the hash.
func (r *rig) push(change platform.Change) string {
	r.Helper()
	change.Author = "Ada Okafor <ada@acme-ml.example>"
	commit, err := r.repo.Push(r.ctx, change)
	if err != nil {
		r.Fatal(err)
	}
	return commit
}

// kubectl runs a command that has to succeed and returns what it printed.
func (r *rig) kubectl(args ...string) string {
	r.Helper()
	text, err := r.site.Kubectl(r.ctx, args...)
	if err != nil {
		r.Fatal(err)
	}
	return text
}

// await repeats check until it passes.
func (r *rig) await(check func(context.Context) error) {
	r.Helper()
	if err := platform.Await(r.ctx, check); err != nil {
		r.Fatal(err)
	}
}

// awaitText waits until kubectl prints a text.
func (r *rig) awaitText(want string, args ...string) string {
	r.Helper()
	var got string
	r.await(func(ctx context.Context) (err error) {
		if got, err = r.site.Kubectl(ctx, args...); err == nil && !strings.Contains(got, want) {
			err = fmt.Errorf("kubectl %s says %q, and not %q", strings.Join(args, " "), got, want)
		}
		return err
	})
	return got
}

// awaitReady waits until an object of the rig's namespace is Ready at what its
// spec says now, and at a revision, if one is given.
func (r *rig) awaitReady(object, revision string) {
	r.Helper()
	r.await(func(ctx context.Context) error {
		printed, err := r.site.Kubectl(ctx, "get", object, "--namespace="+r.name, "--output=json")
		if err != nil {
			return err
		}
		var now readiness
		if err := json.Unmarshal([]byte(printed), &now); err != nil {
			return err
		}
		return now.at(object, revision)
	})
}

// readiness is what an object says of itself.
type readiness struct {
	Metadata struct{ Generation int64 }
	Status   struct {
		Conditions          []metav1.Condition
		LastAppliedRevision string
	}
}

// at returns nil if an object is Ready, about the generation that it has, and at
// a revision unless that is empty.
func (now readiness) at(object, revision string) error {
	ready := meta.FindStatusCondition(now.Status.Conditions, "Ready")
	switch {
	case ready == nil || ready.ObservedGeneration != now.Metadata.Generation:
		return fmt.Errorf("%s has not been reconciled at generation %d: %v", object, now.Metadata.Generation, ready)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s is not ready: %s: %s", object, ready.Reason, ready.Message)
	case revision != "" && now.Status.LastAppliedRevision != revision:
		return fmt.Errorf("%s is at revision %s and not at %s", object, now.Status.LastAppliedRevision, revision)
	}
	return nil
}

// shell prepares a script that is typed in a directory with nothing but the rig's
// overlay, as bootstrap, and with the cluster's tools.
func (r *rig) shell(script string) *exec.Cmd {
	r.Helper()
	dir := r.TempDir()
	if err := os.Symlink(filepath.Join(r.site.Bootstrap(), r.overlay), filepath.Join(dir, "bootstrap")); err != nil {
		r.Fatal(err)
	}
	cmd := exec.CommandContext(r.ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+r.site.Cluster.Assets()+":"+os.Getenv("PATH"), "KUBECONFIG="+r.site.Cluster.Kubeconfig(), "KUBECACHEDIR="+dir)
	// What it has left in the background may hold its output.
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// awaitAnswer waits until a server of the rig's namespace says a text.
func (r *rig) awaitAnswer(service, want string) {
	r.Helper()
	r.awaitText(want, "get", "--raw", "/api/v1/namespaces/"+r.name+"/services/"+service+":80/proxy/")
}

// publish pushes the testbed's image as a version of a repository in the node's
// registry.
func (r *rig) publish(repository, version string) {
	r.Helper()
	if err := r.site.PushTestbed(r.ctx, repository, version, nil); err != nil {
		r.Fatal(err)
	}
}

// diagnose shows what may explain a failure.
func (r *rig) diagnose(ctx context.Context) {
	for _, args := range [][]string{
		{"get", "gitrepositories,kustomizations,helmreleases,helmcharts,imagerepositories,imagepolicies,imageupdateautomations", "--namespace=" + r.name, "--output=wide"},
		{"get", "pods", "--namespace=" + r.name, "--output=wide"},
		{"get", "events", "--namespace=" + r.name, "--sort-by=.metadata.creationTimestamp"},
		{"get", "pods", "--namespace=" + platform.Namespace, "--output=wide"},
		{"logs", "--namespace=" + platform.Namespace, "--selector=app.kubernetes.io/part-of=weir", "--prefix", "--tail=15"},
	} {
		text, err := r.site.Kubectl(ctx, args...)
		r.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, text)
	}
}

// removal is a commit of what was removed from the working copy.
var removal = platform.Change{Message: "Remove what is not needed"}
