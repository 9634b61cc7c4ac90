// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/app"
)

const (
	deadline = 3 * time.Minute
	// flagsVar makes the test program run as the controller, for tests that
	// kill it.
	flagsVar = "WEIR_TEST_CONTROLLER_FLAGS"
)

// quiet logs nothing. logr.Discard has no sink at all, which the recorder of
// events does not expect.
var quiet = logr.New(log.NullLogSink{})

// kube talks to the cluster of all tests as the administrator.
var kube client.Client

func TestMain(m *testing.M) {
	ctrl.SetLogger(quiet)
	if flags, ok := os.LookupEnv(flagsVar); ok {
		if err := app.Run(context.Background(), options(strings.Fields(flags))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "source-controller")
	if err != nil {
		return err
	}
	return os.Setenv("KUBECONFIG", kubeconfig)
}

func options(flags []string) *app.Options {
	o := &app.Options{}
	fs := pflag.NewFlagSet("test", pflag.PanicOnError)
	o.Bind(fs)
	_ = fs.Parse(flags)
	o.Logger = &quiet
	return o
}

// suite is one test: a namespace, a Git server with the repository "repo.git"
// in it, and a controller for that namespace alone.
type suite struct {
	*testing.T
	ns      string
	git     *testkit.GitServer
	repo    *testkit.GitRepo
	storage string
	flags   []string
	stop    func()
}

func newSuite(t *testing.T, opts ...testkit.GitOption) *suite {
	t.Helper()
	s := &suite{T: t, ns: "test-" + rand.String(8), storage: t.TempDir()}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	s.must(err)
	s.repo = repo
	s.git, err = testkit.NewGitServer(dir, opts...)
	s.must(err)
	t.Cleanup(s.git.Close)
	address := freeAddress(t)
	s.flags = []string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=" + s.ns, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms",
		"--storage-path=" + s.storage, "--storage-addr=" + address, "--storage-adv-addr=" + address,
	}
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
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
	all := append(append([]string{}, s.flags...), flags...)
	go func() { done <- app.Run(ctx, options(all)) }()
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

// commit writes files to the main branch and returns the hash.
func (s *suite) commit(files map[string]string) string {
	s.Helper()
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{
		Message: "Raise the budget of team-a to sixteen GPUs for the release\n\nBecause.",
		Author:  "Ada <ada@example.com>", Files: testkit.Files(files),
	})
	s.must(err)
	return hash
}

// create makes the GitRepository "repo" for the main branch; change may adjust
// it.
func (s *suite) create(change ...func(*sourcev1.GitRepository)) {
	s.Helper()
	obj := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"},
		Spec: sourcev1.GitRepositorySpec{
			URL:       s.git.URL + "/repo.git",
			Interval:  metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.must(kube.Create(s.Context(), obj))
}

func (s *suite) get() *sourcev1.GitRepository {
	s.Helper()
	obj := &sourcev1.GitRepository{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "repo"}, obj))
	return obj
}

func (s *suite) edit(change func(*sourcev1.GitRepository)) {
	s.Helper()
	obj := s.get()
	before := obj.DeepCopy()
	change(obj)
	s.must(kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// request asks for a reconcile by annotation and waits until it was handled.
func (s *suite) request() *sourcev1.GitRepository {
	s.Helper()
	token := rand.String(8)
	s.edit(func(g *sourcev1.GitRepository) {
		g.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: token}
	})
	return s.await("handled the request", func(g *sourcev1.GitRepository) bool {
		reconciling := conditions.Get(g, fluxmeta.ReconcilingCondition)
		return g.Status.LastHandledReconcileAt == token && (reconciling == nil || reconciling.Reason == fluxmeta.ProgressingWithRetryReason)
	})
}

// await waits until the GitRepository is as wanted, and returns it.
func (s *suite) await(what string, wanted func(*sourcev1.GitRepository) bool) *sourcev1.GitRepository {
	s.Helper()
	var obj *sourcev1.GitRepository
	s.poll("GitRepository "+what, func() bool {
		obj = s.get()
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(obj.Status)
		return string(out)
	})
	return obj
}

func (s *suite) awaitRevision(revision string) *sourcev1.GitRepository {
	s.Helper()
	return s.await("is ready with "+revision, func(g *sourcev1.GitRepository) bool {
		return conditions.IsReady(g) && g.Status.ObservedGeneration == g.Generation && g.Status.Artifact.HasRevision(revision)
	})
}

// awaitFailure waits until the object is not ready with a message.
func (s *suite) awaitFailure(reason, message string) *sourcev1.GitRepository {
	s.Helper()
	return s.await("fails with "+reason+": "+message, func(g *sourcev1.GitRepository) bool {
		return conditions.IsFalse(g, fluxmeta.ReadyCondition) && conditions.GetReason(g, fluxmeta.ReadyCondition) == reason &&
			strings.Contains(conditions.GetMessage(g, fluxmeta.ReadyCondition), message)
	})
}

func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	s.poll(what, done, func() string { return "" })
}

func (s *suite) poll(what string, done func() bool, state func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", deadline, what, state())
		case <-tick.C:
		}
	}
}

// download returns the files of an artifact, from where its URL says.
func (s *suite) download(a *fluxmeta.Artifact) map[string]string {
	s.Helper()
	resp, err := http.Get(a.URL)
	s.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", a.URL, resp.Status)
	}
	if tag := resp.Header.Get("ETag"); tag != `"`+a.Digest+`"` {
		s.Errorf("ETag %s, want the digest %s", tag, a.Digest)
	}
	files, err := unpack(resp.Body)
	s.must(err)
	return files
}

// unpack returns the regular files of an archive.
func unpack(r io.Reader) (map[string]string, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(zip)
	files := map[string]string{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[header.Name] = string(data)
	}
}

// events returns the messages of the object's events with a reason.
func (s *suite) events(reason string) []string {
	s.Helper()
	var list corev1.EventList
	s.must(kube.List(s.Context(), &list, client.InNamespace(s.ns)))
	var messages []string
	for _, e := range list.Items {
		if e.Reason == reason && e.InvolvedObject.Kind == sourcev1.GitRepositoryKind {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

func (s *suite) awaitEvent(reason, message string) {
	s.Helper()
	s.eventually("event "+reason+": "+message, func() bool {
		for _, got := range s.events(reason) {
			if strings.Contains(got, message) {
				return true
			}
		}
		return false
	})
}

// isGone reports whether the object does not exist.
func (s *suite) isGone() bool {
	s.Helper()
	err := kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: "repo"}, &sourcev1.GitRepository{})
	return apierrors.IsNotFound(err)
}
