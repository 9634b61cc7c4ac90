// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/image-automation-controller/internal/testkit/rig"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: a namespace, a Git server with the repository "repo.git"
// and the GitRepository "repo" for it, a registry, and a controller for that
// namespace alone.
type suite struct {
	*rig.Suite

	git  *testkit.GitServer
	repo *testkit.GitRepo
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{Suite: env.Suite(t)}
	dir := t.TempDir()
	var err error
	s.repo, err = testkit.NewGitRepo(t.Context(), dir+"/team/repo.git")
	s.Must(err)
	s.git, err = testkit.NewGitServer(dir)
	s.Must(err)
	t.Cleanup(s.git.Close)
	s.Must(s.Kube.Create(t.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "repo"},
		Spec: sourcev1.GitRepositorySpec{
			URL: s.git.URL + "/team/repo.git", Interval: metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}))
	return s
}

// commit writes files to the main branch as a person and returns the hash.
func (s *suite) commit(message string, files map[string]string) string {
	s.Helper()
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{Message: message, Author: "Ada <ada@example.com>", Files: testkit.Files(files)})
	s.Must(err)
	return hash
}

// image is the repository of a name in the registry.
func (s *suite) image(name string) string { return s.Registry.Host + "/" + name }

// push puts a model with an accuracy into the registry and returns its digest.
func (s *suite) push(tag, accuracy string) string {
	s.Helper()
	annotations := map[string]string{}
	if accuracy != "" {
		annotations["ml.eval.accuracy"] = accuracy
	}
	digest, err := s.Registry.Push("model", tag, testkit.RegistryImage{Content: tag + " " + accuracy, Annotations: annotations})
	s.Must(err)
	return digest
}

// automation is one with an image "model" that follows versions.
func (s *suite) automation(name string, change ...func(*imagev1.ImageUpdateAutomation)) *imagev1.ImageUpdateAutomation {
	obj := &imagev1.ImageUpdateAutomation{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
		Spec: imagev1.ImageUpdateAutomationSpec{
			SourceRef: imagev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: "repo"},
			Interval:  metav1.Duration{Duration: time.Hour},
			GitSpec:   &imagev1.GitSpec{Commit: imagev1.CommitSpec{Author: imagev1.CommitUser{Name: "Weir", Email: "weir@example.com"}}},
			Update:    &imagev1.UpdateStrategy{Strategy: imagev1.UpdateStrategySetters, Path: "./"},
			Weir: &imagev1.WeirSpec{Images: []imagev1.Image{{
				Name: "model", Image: s.image("model"), RegistryAccess: imagev1.RegistryAccess{Insecure: true},
				Policy: imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: ">=1.0.0"}}},
			}}},
		},
	}
	for _, f := range change {
		f(obj)
	}
	return obj
}

func (s *suite) create(obj client.Object) {
	s.Helper()
	s.Must(s.Kube.Create(s.Context(), obj))
}

// gated adds a gate that compares with what Git holds.
func gated(a *imagev1.ImageUpdateAutomation) {
	a.Spec.Weir.Images[0].Gates = []imagev1.Gate{{
		Name:         "accuracy",
		Expression:   "num(candidate.annotations['ml.eval.accuracy']) >= num(baseline.annotations['ml.eval.accuracy']) - 0.005",
		OnNoBaseline: imagev1.NoBaselinePass,
	}}
}

// pod is a manifest with a marker for the image of an automation.
func (s *suite) pod(automation, reference string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: server\nspec:\n  containers:\n    - name: server\n      image: " + reference +
		" # {\"$imagepolicy\": \"" + s.Namespace + ":" + automation + "/model\"}\n"
}

// of drives the automation of a name.
func (s *suite) of(name string) rig.Objects[*imagev1.ImageUpdateAutomation] {
	return rig.Of(s.Suite, imagev1.ImageUpdateAutomationKind, name, func() *imagev1.ImageUpdateAutomation { return &imagev1.ImageUpdateAutomation{} })
}

func annotate(a *imagev1.ImageUpdateAutomation, key, value string) {
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	a.Annotations[key] = value
}

func isReady(a *imagev1.ImageUpdateAutomation) bool {
	return conditions.IsReady(a) && a.Status.ObservedGeneration == a.Generation
}

// awaitHeld waits until an automation is ready and holds something for a
// reason, with a message.
func (s *suite) awaitHeld(name, reason, message string) *imagev1.ImageUpdateAutomation {
	s.Helper()
	return s.of(name).Await("holds for "+reason+": "+message, func(a *imagev1.ImageUpdateAutomation) bool {
		return isReady(a) && conditions.GetReason(a, imagev1.HeldCondition) == reason &&
			strings.Contains(conditions.GetMessage(a, imagev1.HeldCondition), message)
	})
}

// file returns what a branch holds of a file.
func (s *suite) file(branch, path string) string {
	s.Helper()
	out, err := s.repo.Git(s.Context(), "show", branch+":"+path)
	s.Must(err)
	return out + "\n"
}

// awaitFile waits until the main branch holds a text in a file.
func (s *suite) awaitFile(path, text string) {
	s.Helper()
	s.Poll(path+" holds "+text, func() bool { return strings.Contains(s.file("main", path), text) }, func() string { return s.file("main", path) })
}

// log returns the messages of the commits of a branch, the newest first.
func (s *suite) log(branch string) []string {
	s.Helper()
	out, err := s.repo.Git(s.Context(), "log", "--first-parent", "--format=%B%x00", branch)
	s.Must(err)
	var messages []string
	for message := range strings.SplitSeq(out, "\x00") {
		if message = strings.TrimSpace(message); message != "" {
			messages = append(messages, message)
		}
	}
	return messages
}

// told returns how often events with a reason and a text were recorded. Equal
// ones are one object that counts.
func (s *suite) told(reason, text string) int {
	s.Helper()
	var list corev1.EventList
	s.Must(s.Kube.List(s.Context(), &list, client.InNamespace(s.Namespace)))
	count := 0
	for i := range list.Items {
		if e := &list.Items[i]; e.Reason == reason && strings.Contains(e.Message, text) {
			count += int(max(1, e.Count))
			if e.Series != nil {
				count += int(e.Series.Count) - 1
			}
		}
	}
	return count
}

func (s *suite) secret(name string, data map[string]string) meta.LocalObjectReference {
	s.Helper()
	return meta.LocalObjectReference{Name: s.Secret(name, data).Name}
}
