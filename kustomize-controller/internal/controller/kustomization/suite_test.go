// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kustomization_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
	"github.com/weir-gitops/weir/kustomize-controller/internal/app"
	"github.com/weir-gitops/weir/pkg/testkit"
)

const (
	deadline = 60 * time.Second
	// shardLabel is on Kustomizations that the shared controller leaves to
	// one that a test starts.
	shardLabel = "sharding.fluxcd.io/key"
)

// Shared by the tests of this package: one cluster with Weir's manifests, one
// server of artifacts, one controller.
var (
	cluster    *testkit.Cluster
	kube       client.WithWatch
	artifacts  *artifactServer
	controller *process
)

// tests are those of the package, and the end of the controller that they share.
type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if err := controller.end(); err != nil {
		fmt.Fprintln(os.Stderr, "the shared controller ended with", err)
		return max(code, 1)
	}
	return code
}

func TestMain(m *testing.M) {
	code := testkit.Main(tests{m}, func(c *testkit.Cluster) {
		if err := setup(c); err != nil {
			fmt.Fprintln(os.Stderr, "set up the tests:", err)
			os.Exit(1)
		}
	}, testkit.WithGPUNodes(4)) // the tests of the gate hold GPUs at the same time
	quotas.Stop()
	os.Exit(code)
}

func setup(c *testkit.Cluster) error {
	cluster = c
	ctx := context.Background()
	err := c.Install(ctx)
	if err != nil {
		return err
	}
	if kube, err = client.NewWithWatch(c.Config(), client.Options{Scheme: app.Scheme()}); err != nil {
		return err
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, "weir-system", "kustomize-controller")
	if err != nil {
		return err
	}
	if err := os.Setenv("KUBECONFIG", kubeconfig); err != nil {
		return err
	}
	// The flags of the controllers name it. A test fills it.
	if err := kube.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "weir-system", Name: "sops-age"}}); err != nil {
		return err
	}
	artifacts = newArtifactServer()
	ctrl.SetLogger(quiet)
	controller = startShared()
	return nil
}

var quiet = logr.New(log.NullLogSink{})

// process is a running controller.
type process struct {
	cancel context.CancelFunc
	done   chan error
	dir    string
}

// startShared runs the controller that all tests share.
func startShared(flags ...string) *process {
	return startController(append(flags, "--watch-label-selector=!"+shardLabel)...)
}

// startController runs the controller with the token of its own service
// account, as it ships.
func startController(flags ...string) *process { return startControllerOn(nil, flags...) }

// startControllerOn runs it against the API server of config. Nil: the shared
// cluster's.
func startControllerOn(config *rest.Config, flags ...string) *process {
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		panic(err)
	}
	// The loggers of the flags are global, and there are several controllers.
	o := &app.Options{Config: config, Logger: &quiet}
	fs := pflag.NewFlagSet("test", pflag.PanicOnError)
	o.Bind(fs)
	_ = fs.Parse(append([]string{
		"--metrics-addr=0", "--health-addr=0", "--runtime-namespace=weir-system", "--allow-local-sources",
		"--artifact-path=" + dir, "--requeue-dependency=2s", "--http-retry=0",
		"--sops-age-secret=sops-age", "--sops-vault-configmap=vaults",
	}, flags...))
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan error, 1), dir: dir}
	go func() { p.done <- app.Run(ctx, o) }()
	return p
}

// stop ends the controller and waits until it is gone.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.end(); err != nil {
		t.Errorf("the controller ended with %v", err)
	}
}

// end is stop without a test.
func (p *process) end() error {
	p.cancel()
	err := <-p.done
	_ = exec.Command("chmod", "-R", "u+w", p.dir).Run()
	return errors.Join(err, os.RemoveAll(p.dir))
}

// artifactServer serves the artifacts of all test sources.
type artifactServer struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
}

func newArtifactServer() *artifactServer {
	s := &artifactServer{files: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		body, ok := s.files[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	return s
}

func (s *artifactServer) put(body []byte) *fluxmeta.Artifact {
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	s.mu.Lock()
	s.files["/"+digest+".tar.gz"] = body
	s.mu.Unlock()
	return &fluxmeta.Artifact{
		URL: s.URL + "/" + digest + ".tar.gz", Path: digest + ".tar.gz", Digest: "sha256:" + digest,
		Revision: "main@sha1:" + digest[:40], LastUpdateTime: metav1.Now(),
	}
}

// suite is one test with a namespace and a source of its own.
type suite struct {
	*testing.T
	ns string
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{T: t, ns: "test-" + rand.String(8)}
	s.must(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}}))
	s.must(kube.Create(t.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"},
		Spec:       sourcev1.GitRepositorySpec{URL: "https://git.example/repo", Interval: metav1.Duration{Duration: time.Hour}},
	}))
	return s
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// push publishes files as the source's next revision, and returns it.
func (s *suite) push(files map[string]string) string {
	s.Helper()
	artifact := artifacts.put(s.pack(files))
	repo := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "repo"}}
	s.must(kube.Get(s.Context(), client.ObjectKeyFromObject(repo), repo))
	repo.Status.Artifact = artifact
	conditions.MarkTrue(repo, fluxmeta.ReadyCondition, "Succeeded", "stored artifact")
	s.must(kube.Status().Update(s.Context(), repo))
	return artifact.Revision
}

// pack makes an artifact. $NS in its files stands for the namespace.
func (s *suite) pack(files map[string]string) []byte {
	s.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := []byte(strings.ReplaceAll(files[name], "$NS", s.ns))
		s.must(archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := archive.Write(content)
		s.must(err)
	}
	s.must(errors.Join(archive.Close(), zip.Close()))
	return buf.Bytes()
}

// create makes a Kustomization of the source; change may adjust it.
func (s *suite) create(name string, change ...func(*kustomizev1.Kustomization)) {
	s.Helper()
	obj := &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name},
		Spec: kustomizev1.KustomizationSpec{
			Interval:  metav1.Duration{Duration: time.Hour},
			Prune:     true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "repo"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.must(kube.Create(s.Context(), obj))
	s.Cleanup(func() { s.delete(name) })
}

// delete deletes a Kustomization and waits until it is gone.
func (s *suite) delete(name string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	obj := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name}}
	s.must(client.IgnoreNotFound(kube.Delete(ctx, obj)))
	s.poll(ctx, "Kustomization "+name+" is gone", func() bool {
		return apierrors.IsNotFound(kube.Get(ctx, client.ObjectKeyFromObject(obj), obj))
	})
}

func (s *suite) get(name string) *kustomizev1.Kustomization {
	s.Helper()
	obj := &kustomizev1.Kustomization{}
	s.must(kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj))
	return obj
}

// edit changes a Kustomization.
func (s *suite) edit(name string, change func(*kustomizev1.Kustomization)) {
	s.Helper()
	obj := s.get(name)
	before := obj.DeepCopy()
	change(obj)
	s.must(kube.Patch(s.Context(), obj, client.MergeFrom(before)))
}

// await waits until a Kustomization is as wanted, and returns it.
func (s *suite) await(name, what string, wanted func(*kustomizev1.Kustomization) bool) *kustomizev1.Kustomization {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	var obj *kustomizev1.Kustomization
	s.pollWith(ctx, "Kustomization "+name+" "+what, func() bool {
		obj = s.get(name)
		return wanted(obj)
	}, func() string {
		out, _ := yaml.Marshal(obj.Status)
		return string(out)
	})
	return obj
}

// awaitReady waits until a Kustomization has applied a revision.
func (s *suite) awaitReady(name, revision string) *kustomizev1.Kustomization {
	s.Helper()
	return s.await(name, "is ready with "+revision, func(k *kustomizev1.Kustomization) bool {
		return conditions.IsReady(k) && k.Status.ObservedGeneration == k.Generation && k.Status.LastAppliedRevision == revision
	})
}

// awaitFailure waits until a Kustomization is not ready for a reason, and
// returns the message.
func (s *suite) awaitFailure(name, reason string) string {
	s.Helper()
	obj := s.await(name, "fails with "+reason, func(k *kustomizev1.Kustomization) bool {
		return conditions.IsFalse(k, fluxmeta.ReadyCondition) && conditions.GetReason(k, fluxmeta.ReadyCondition) == reason
	})
	return conditions.GetMessage(obj, fluxmeta.ReadyCondition)
}

func (s *suite) poll(ctx context.Context, what string, done func() bool) {
	s.Helper()
	s.pollWith(ctx, what, done, func() string { return "" })
}

func (s *suite) pollWith(ctx context.Context, what string, done func() bool, state func() string) {
	s.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s\n%s", deadline, what, state())
		case <-tick.C:
		}
	}
}

// eventually waits until something holds.
func (s *suite) eventually(what string, done func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), deadline)
	defer cancel()
	s.poll(ctx, what, done)
}

// live reads an object such as "v1/ConfigMap", or returns nil.
func (s *suite) live(kind, name string) *unstructured.Unstructured {
	s.Helper()
	obj := newObject(kind)
	err := kube.Get(s.Context(), client.ObjectKey{Namespace: s.ns, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return nil
	}
	s.must(err)
	return obj
}

// patch changes an object by hand, as the given field manager.
func (s *suite) patch(by, kind, name, body string) {
	s.Helper()
	obj := newObject(kind)
	obj.SetNamespace(s.ns)
	obj.SetName(name)
	data, err := yaml.YAMLToJSON([]byte(body))
	s.must(err)
	s.must(kube.Patch(s.Context(), obj, client.RawPatch("application/merge-patch+json", data), client.FieldOwner(by)))
}

func newObject(kind string) *unstructured.Unstructured {
	at := strings.LastIndexByte(kind, '/')
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(kind[:at])
	obj.SetKind(kind[at+1:])
	return obj
}

// field returns the string at a path of an object, or "".
func field(obj *unstructured.Unstructured, path ...string) string {
	if obj == nil {
		return ""
	}
	value, _, _ := unstructured.NestedString(obj.Object, path...)
	return value
}
