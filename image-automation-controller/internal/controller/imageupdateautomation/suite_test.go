// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
	"github.com/weir-gitops/weir/api/meta"
	"github.com/weir-gitops/weir/image-automation-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	deadline = 60 * time.Second
	// logVar makes the controllers of the tests log.
	logVar = "WEIR_TEST_LOG"
)

// quiet logs nothing. logr.Discard has no sink at all, which the recorder of
// events does not expect.
var quiet = logr.New(log.NullLogSink{})

var (
	// kube talks to the cluster of all tests as the administrator.
	kube client.Client
	// account is the service account that ships.
	account *rest.Config
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(quiet)
	os.Exit(testkit.Main(m, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}))
}

// setup installs Weir's manifests. Controllers of the tests run with the token
// of the service account that ships.
func setup(c *testkit.Cluster) error {
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if kube, err = client.New(c.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	account, err = c.ServiceAccountConfig(ctx, "weir-system", "image-automation-controller")
	return err
}

// suite is one test: a namespace, a Git server with the repository "repo.git"
// and the GitRepository "repo" for it, a registry, and a controller for that
// namespace alone.
type suite struct {
	*testing.T
	ns       string
	git      *testkit.GitServer
	repo     *testkit.GitRepo
	registry *testkit.Registry
	config   *rest.Config
	storage  string
	stop     func()
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{T: t, ns: "test-" + rand.String(8), storage: t.TempDir(), config: account}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	dir := t.TempDir()
	var err error
	s.repo, err = testkit.NewGitRepo(t.Context(), dir+"/team/repo.git")
	s.must(err)
	s.git, err = testkit.NewGitServer(dir)
	s.must(err)
	t.Cleanup(s.git.Close)
	s.registry, err = testkit.NewRegistry()
	s.must(err)
	t.Cleanup(s.registry.Close)
	s.must(kube.Create(t.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"},
		Spec: sourcev1.GitRepositorySpec{
			URL: s.git.URL + "/team/repo.git", Interval: metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}))
	return s
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// start runs the controller with more flags until the test ends, or stop is
// called.
func (s *suite) start(flags ...string) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	o := &app.Options{Config: s.config, Logger: &quiet}
	if os.Getenv(logVar) != "" {
		o.Logger = nil
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs)
	s.must(fs.Parse(append([]string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + s.ns, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms", "--storage-path=" + s.storage,
	}, flags...)))
	go func() { done <- app.Run(ctx, o) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			s.Errorf("the controller ended with %v", err)
		}
	}
	s.Cleanup(func() { s.stop() })
}

// commit writes files to the main branch as a person and returns the hash.
func (s *suite) commit(message string, files map[string]string) string {
	s.Helper()
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{Message: message, Author: "Ada <ada@example.com>", Files: testkit.Files(files)})
	s.must(err)
	return hash
}

// image is the repository of a name in the registry.
func (s *suite) image(name string) string { return s.registry.Host + "/" + name }

// push puts a model with an accuracy into the registry and returns its digest.
func (s *suite) push(tag, accuracy string) string {
	s.Helper()
	annotations := map[string]string{}
	if accuracy != "" {
		annotations["ml.eval.accuracy"] = accuracy
	}
	digest, err := s.registry.Push("model", tag, testkit.RegistryImage{Content: tag + " " + accuracy, Annotations: annotations})
	s.must(err)
	return digest
}

// automation is one with an image "model" that follows versions.
func (s *suite) automation(name string, change ...func(*imagev1.ImageUpdateAutomation)) *imagev1.ImageUpdateAutomation {
	obj := &imagev1.ImageUpdateAutomation{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name},
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
	s.must(kube.Create(s.Context(), obj))
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
		" # {\"$imagepolicy\": \"" + s.ns + ":" + automation + "/model\"}\n"
}

func (s *suite) get(name string) *imagev1.ImageUpdateAutomation {
	s.Helper()
	obj := &imagev1.ImageUpdateAutomation{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj))
	return obj
}

func (s *suite) edit(name string, change func(*imagev1.ImageUpdateAutomation)) {
	s.Helper()
	obj := s.get(name)
	before := obj.DeepCopy()
	change(obj)
	s.must(kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

func annotate(a *imagev1.ImageUpdateAutomation, key, value string) {
	if a.Annotations == nil {
		a.Annotations = map[string]string{}
	}
	a.Annotations[key] = value
}

// request asks for a run by annotation and waits until it was handled.
func (s *suite) request(name string) *imagev1.ImageUpdateAutomation {
	s.Helper()
	token := rand.String(8)
	s.edit(name, func(a *imagev1.ImageUpdateAutomation) { annotate(a, fluxmeta.ReconcileRequestAnnotation, token) })
	return s.await(name, "handled the request", func(a *imagev1.ImageUpdateAutomation) bool {
		return a.Status.LastHandledReconcileAt == token
	})
}

// await waits until an automation is as wanted, and returns it.
func (s *suite) await(name, what string, wanted func(*imagev1.ImageUpdateAutomation) bool) *imagev1.ImageUpdateAutomation {
	s.Helper()
	var obj *imagev1.ImageUpdateAutomation
	s.poll("automation "+name+" "+what, func() bool {
		obj = s.get(name)
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(obj.Status)
		return string(out)
	})
	return obj
}

func isReady(a *imagev1.ImageUpdateAutomation) bool {
	return conditions.IsReady(a) && a.Status.ObservedGeneration == a.Generation
}

// awaitHeld waits until an automation is ready and holds something for a
// reason, with a message.
func (s *suite) awaitHeld(name, reason, message string) *imagev1.ImageUpdateAutomation {
	s.Helper()
	return s.await(name, "holds for "+reason+": "+message, func(a *imagev1.ImageUpdateAutomation) bool {
		return isReady(a) && conditions.GetReason(a, imagev1.HeldCondition) == reason &&
			strings.Contains(conditions.GetMessage(a, imagev1.HeldCondition), message)
	})
}

// awaitFailure waits until an automation is not ready with a message.
func (s *suite) awaitFailure(name, reason, message string) *imagev1.ImageUpdateAutomation {
	s.Helper()
	return s.await(name, "fails with "+reason+": "+message, func(a *imagev1.ImageUpdateAutomation) bool {
		return conditions.IsFalse(a, fluxmeta.ReadyCondition) && conditions.GetReason(a, fluxmeta.ReadyCondition) == reason &&
			strings.Contains(conditions.GetMessage(a, fluxmeta.ReadyCondition), message)
	})
}

func (s *suite) poll(what string, done func() bool, state func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", deadline, what, state())
		case <-tick.C:
		}
	}
}

// file returns what a branch holds of a file.
func (s *suite) file(branch, path string) string {
	s.Helper()
	out, err := s.repo.Git(s.Context(), "show", branch+":"+path)
	s.must(err)
	return out + "\n"
}

// awaitFile waits until the main branch holds a text in a file.
func (s *suite) awaitFile(path, text string) {
	s.Helper()
	s.poll(path+" holds "+text, func() bool { return strings.Contains(s.file("main", path), text) }, func() string { return s.file("main", path) })
}

// log returns the messages of the commits of a branch, the newest first.
func (s *suite) log(branch string) []string {
	s.Helper()
	out, err := s.repo.Git(s.Context(), "log", "--first-parent", "--format=%B%x00", branch)
	s.must(err)
	var messages []string
	for message := range strings.SplitSeq(out, "\x00") {
		if message = strings.TrimSpace(message); message != "" {
			messages = append(messages, message)
		}
	}
	return messages
}

// events returns the messages of an automation's events with a reason.
func (s *suite) events(reason string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for i := range list.Items {
		if list.Items[i].Reason == reason {
			messages = append(messages, list.Items[i].Message)
		}
	}
	return messages
}

// told returns how often events with a reason and a text were recorded. Equal
// ones are one object that counts.
func (s *suite) told(reason, text string) int {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
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
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}, StringData: data})
	return meta.LocalObjectReference{Name: name}
}
