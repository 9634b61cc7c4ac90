// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package commands runs the commands that the documentation shows, against a
// real API server on which Weir is installed. No controller runs: a
// stand-in says of every object at once that it is ready.
package commands

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/hack/docs/markdown"
	"github.com/weir-gitops/weir/hack/docs/runbook"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	root = "../../.."
	// perBlock bounds the commands of one block.
	perBlock = time.Minute
)

// cluster is shared by the tests of this package.
var cluster *testkit.Cluster

func TestMain(m *testing.M) {
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) { cluster = c }))
}

// elsewhere are commands that something else runs, or nothing here can.
var elsewhere = []*regexp.Regexp{
	regexp.MustCompile(`^(\w+=\S+ )?make\b`),                      // .ci/run does; hack/docs tests that the targets exist
	regexp.MustCompile(`^kubectl .*\b(logs|port-forward|exec)\b`), // no container runs here
	regexp.MustCompile(`\bhttp://localhost:9090/`),                // what was forwarded
	regexp.MustCompile(`^(sops|git add)\b`),                       // the tests of internal/decrypt encrypt with the library of sops
	regexp.MustCompile(`^git (log|revert|push|verify-commit)\b`),  // the demo runs them, on what the automation has committed
}

// What the commands of the pages expect to be there.
const world = `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: ml}}
- {apiVersion: v1, kind: Namespace, metadata: {name: team-serving}}
- {apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: model-server, namespace: team-serving}
  spec: &nothing
    selector: {matchLabels: {app: nothing}}
    template:
      metadata: {labels: {app: nothing}}
      spec: {containers: [{name: nothing, image: nothing}]}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: source-controller, namespace: flux-system}, spec: *nothing}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: kustomize-controller, namespace: flux-system}, spec: *nothing}
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: helm-controller, namespace: flux-system}, spec: *nothing}
`

// TestCommands runs the shell blocks of each page in their order. The README
// comes first, because it installs; the page that uninstalls comes last.
func TestCommands(t *testing.T) {
	s := newShell(t)
	ran := 0
	for i, p := range s.pages() {
		if i == 1 {
			s.run("kubectl apply -f -", world)
			go standIn(t.Context(), cluster.Config())
		}
		t.Run(p.Path, func(t *testing.T) {
			s := s.within(t)
			if i > 0 {
				s.applyExamples(p)
			}
			s.writeFiles(p)
			scripts := runnable(p.Blocks)
			for _, script := range scripts {
				s.run(script, "")
			}
			ran += len(scripts)
		})
	}
	if ran < 10 {
		t.Errorf("%d blocks were run, want at least 10", ran)
	}
}

// runnable returns the scripts of a page: in its order, but what deletes Weir
// itself after all others.
func runnable(blocks []markdown.Block) []string {
	var scripts, last []string
	for _, b := range blocks {
		lines := slices.DeleteFunc(slices.Collect(strings.Lines(b.Text)), func(line string) bool {
			return slices.ContainsFunc(elsewhere, func(r *regexp.Regexp) bool { return r.MatchString(line) })
		})
		switch script := strings.TrimSpace(strings.Join(lines, "")); {
		case b.Language != "sh" || script == "":
		case strings.Contains(script, "delete --ignore-not-found"):
			last = append(last, script)
		default:
			scripts = append(scripts, script)
		}
	}
	return append(scripts, last...)
}

// shell runs commands in a directory that looks like a checkout of Weir beside
// one of the example.
type shell struct {
	*testing.T
	dir string
	env []string
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{T: t, dir: t.TempDir()}
	for name, target := range map[string]string{"bootstrap": "bootstrap", "infra": "examples/llm-platform/infra/dev"} {
		path, err := filepath.Abs(filepath.Join(root, target))
		if err == nil {
			err = os.Symlink(path, filepath.Join(s.dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tools := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", tools, "filippo.io/age/cmd/age-keygen")
	build.Dir, build.Env = filepath.Join(root, "kustomize-controller"), append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build age-keygen: %v: %s", err, out)
	}
	s.env = append(os.Environ(),
		"PATH="+strings.Join([]string{cluster.Assets(), tools, os.Getenv("PATH")}, string(os.PathListSeparator)),
		"KUBECONFIG="+cluster.Kubeconfig())
	return s
}

func (s *shell) within(t *testing.T) *shell {
	return &shell{T: t, dir: s.dir, env: s.env}
}

// pages returns those for users of Weir that show anything, but for those of
// the runbook, whose commands run where controllers do.
func (s *shell) pages() []*markdown.Page {
	s.Helper()
	all, err := markdown.ReadAll(root)
	if err != nil {
		s.Fatal(err)
	}
	order := []string{"README.md", "docs/", "kustomize-controller/docs/", "source-controller/docs/", "helm-controller/docs/", "image-automation-controller/docs/", "bootstrap/README.md"}
	place := func(p *markdown.Page) int {
		return slices.IndexFunc(order, func(prefix string) bool { return strings.HasPrefix(p.Path, prefix) })
	}
	all = slices.DeleteFunc(all, func(p *markdown.Page) bool {
		return place(p) < 0 || len(p.Blocks) == 0 || slices.Contains(runbook.Pages(), p.Path)
	})
	slices.SortStableFunc(all, func(a, b *markdown.Page) int { return cmp.Compare(place(a), place(b)) })
	return all
}

// writeFiles writes the examples that begin with a comment which names a file,
// but not into what is a part of the checkout.
func (s *shell) writeFiles(p *markdown.Page) {
	s.Helper()
	for _, b := range p.Blocks {
		first, _, _ := strings.Cut(b.Text, "\n")
		name, ok := strings.CutPrefix(first, "# ")
		if b.Language != "yaml" || !ok || filepath.Ext(name) != ".yaml" || strings.Contains(name, " ") {
			continue
		}
		folder, _, _ := strings.Cut(name, "/")
		if info, err := os.Lstat(filepath.Join(s.dir, folder)); err == nil && info.Mode()&os.ModeSymlink != 0 {
			continue
		}
		path := filepath.Join(s.dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o750)
		if err == nil {
			err = os.WriteFile(path, []byte(b.Text), 0o600)
		}
		if err != nil {
			s.Fatal(err)
		}
	}
}

// applyExamples creates the objects of Weir's kinds that a page shows, so that
// the CRDs judge them.
func (s *shell) applyExamples(p *markdown.Page) {
	s.Helper()
	for _, b := range p.Blocks {
		if b.Language != "yaml" {
			continue
		}
		for document := range strings.SplitSeq(b.Text, "\n---\n") {
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct{ Name, Namespace string }
			}
			if err := yaml.Unmarshal([]byte(document), &head); err != nil {
				s.Fatalf("%v in\n%s", err, document)
			}
			group, _, _ := strings.Cut(head.APIVersion, "/")
			if !strings.HasSuffix(group, ".toolkit.fluxcd.io") || head.Kind == "" {
				continue
			}
			if namespace := head.Metadata.Namespace; namespace != "" {
				s.run("kubectl get namespace "+namespace+" || kubectl create namespace "+namespace, "")
			}
			s.run("kubectl apply --server-side --force-conflicts -f -", document)
		}
	}
}

// run runs a script and fails the test if any of its commands fails.
func (s *shell) run(script, input string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), perBlock)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir, command.Env, command.Stdin = s.dir, s.env, strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		s.Fatalf("%v of\n%s\n%s", err, script, out)
	} else {
		s.Logf("%s\n%s", script, out)
	}
}
