// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/leader"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: a GitRepository, a Git server, two pods with a replica
// each, and what stands for their Service.
type suite struct {
	rig.Objects[*sourcev1.GitRepository]

	dir     string // of the Git server
	address string // of the Git server
	git     *testkit.GitServer
	repo    *testkit.GitRepo
	service *service
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{
		dir: t.TempDir(), address: rig.FreeAddress(t),
		Objects: rig.Of(env.Suite(t), sourcev1.GitRepositoryKind, "repo", func() *sourcev1.GitRepository { return &sourcev1.GitRepository{} }),
	}
	repo, err := testkit.NewGitRepo(t.Context(), s.dir+"/repo.git")
	s.Must(err)
	s.repo = repo
	s.startGit()
	t.Cleanup(s.stopGit)
	s.service = newService(t, s.Kube, s.Namespace)
	s.grant()
	return s
}

func (s *suite) startGit() {
	s.Helper()
	server, err := testkit.NewGitServer(s.dir, testkit.GitAddress(s.address))
	s.Must(err)
	s.git = server
}

func (s *suite) stopGit() {
	if s.git != nil {
		s.git.Close()
		s.git = nil
	}
}

// grant gives the service account in the test's namespace the rights that it
// has in its own.
func (s *suite) grant() {
	s.Helper()
	var role rbacv1.Role
	var binding rbacv1.RoleBinding
	name := client.ObjectKey{Namespace: "weir-system", Name: "source-controller"}
	s.Must(s.Kube.Get(s.Context(), name, &role))
	s.Must(s.Kube.Get(s.Context(), name, &binding))
	here := metav1.ObjectMeta{Namespace: s.Namespace, Name: name.Name}
	// The pods' account: a policy keeps the controller from marking pods of another.
	s.Must(s.Kube.Create(s.Context(), &corev1.ServiceAccount{ObjectMeta: here}))
	s.Must(s.Kube.Create(s.Context(), &rbacv1.Role{ObjectMeta: here, Rules: role.Rules}))
	s.Must(s.Kube.Create(s.Context(), &rbacv1.RoleBinding{ObjectMeta: here, RoleRef: binding.RoleRef, Subjects: binding.Subjects}))
}

// labels select the objects of this test, and give the lease a name of its own:
// replicas in other namespaces would be taken for rivals.
func (s *suite) labels() map[string]string { return map[string]string{"test": s.Namespace} }

func (s *suite) commit(files map[string]string) string {
	s.Helper()
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{Message: "m", Author: "Ada <ada@example.com>", Files: testkit.Files(files)})
	s.Must(err)
	return hash
}

func (s *suite) create() {
	s.Helper()
	s.createAs(s.Name)
}

func (s *suite) createAs(name string) {
	s.Helper()
	s.Must(s.Kube.Create(s.Context(), &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: s.labels()},
		Spec: sourcev1.GitRepositorySpec{
			URL: "http://" + s.address + "/repo.git", Interval: metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}))
}

// replica is one process of the controller, in a pod that is only an object.
type replica struct {
	*rig.Suite

	pod, health string
	process     *exec.Cmd
}

// replica starts another one, with a disk of its own.
func (s *suite) replica(pod string, flags ...string) *replica {
	s.Helper()
	r := s.prepare(pod, flags...)
	r.start()
	return r
}

// prepare is replica for one that does not run yet.
func (s *suite) prepare(pod string, flags ...string) *replica {
	s.Helper()
	s.Must(s.Kube.Create(s.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: pod},
		Spec:       corev1.PodSpec{ServiceAccountName: "source-controller", Containers: []corev1.Container{{Name: "c", Image: "c"}}},
	}))
	own := *s.Suite.Suite
	r := &replica{Suite: &rig.Suite{Suite: &own, Storage: s.T.TempDir()}, pod: pod, health: rig.FreeAddress(s.T)}
	artifacts := rig.FreeAddress(s.T)
	s.service.add(pod, artifacts)
	r.Flags = append([]string{
		"--metrics-addr=0", "--health-addr=" + r.health, "--runtime-namespace=" + s.Namespace, "--watch-all-namespaces=false",
		"--allow-local-sources", "--min-retry-delay=100ms", "--max-retry-delay=500ms", "--watch-label-selector=test=" + s.Namespace,
		"--enable-leader-election", "--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=500ms",
		"--storage-path=" + r.Storage, "--storage-addr=" + artifacts, "--storage-adv-addr=" + s.service.address(),
	}, flags...)
	return r
}

// start runs it, with more variables in its environment.
func (r *replica) start(env ...string) {
	r.Helper()
	r.process = r.Process(append(env, "POD_NAME="+r.pod, "POD_NAMESPACE="+r.Namespace)...)
}

// kill is kill -9.
func (r *replica) kill() {
	r.Helper()
	r.Must(r.process.Process.Kill())
	_ = r.process.Wait()
}

func (r *replica) awaitLead() {
	r.Helper()
	r.Eventually(r.pod+" leads", func() bool {
		var pod corev1.Pod
		r.Must(r.Kube.Get(r.Context(), client.ObjectKey{Namespace: r.Namespace, Name: r.pod}, &pod))
		return pod.Labels[leader.Label] == "true"
	})
}

func (r *replica) awaitReady() {
	r.Helper()
	r.Eventually(r.pod+" is ready", func() bool {
		resp, err := http.Get("http://" + r.health + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// files are those on its disk that fit a pattern below kind/namespace.
func (r *replica) files(kind, pattern string) []string {
	r.Helper()
	files, err := filepath.Glob(filepath.Join(r.Storage, kind, r.Namespace, pattern))
	r.Must(err)
	return files
}

func (r *replica) holds(a *fluxmeta.Artifact) bool {
	_, err := os.Stat(filepath.Join(r.Storage, a.Path))
	return err == nil
}

// service passes requests on to the pod with the leader's label, as a Service
// and those who follow it do.
type service struct {
	server *httptest.Server
	kube   client.Client

	mu        sync.Mutex
	addresses map[string]string
	// spoil, if not nil, changes what passes.
	spoil func(*http.Response)
}

func newService(t *testing.T, kube client.Client, namespace string) *service {
	t.Helper()
	s := &service{kube: kube, addresses: map[string]string{}}
	s.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: s.endpoint(r.In.Context(), namespace)})
		},
		ModifyResponse: func(r *http.Response) error {
			s.mu.Lock()
			spoil := s.spoil
			s.mu.Unlock()
			if spoil != nil {
				spoil(r)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:    &http.Transport{DisableKeepAlives: true},
	})
	t.Cleanup(s.server.Close)
	return s
}

func (s *service) address() string { return s.server.Listener.Addr().String() }

func (s *service) add(pod, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses[pod] = address
}

// inject has spoil change what passes from now on.
func (s *service) inject(spoil func(*http.Response)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// endpoint is the address of a marked pod, or one where nobody is.
func (s *service) endpoint(ctx context.Context, namespace string) string {
	var pods corev1.PodList
	err := s.kube.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{leader.Label: "true"})
	if err != nil || len(pods.Items) == 0 {
		return "127.0.0.1:1"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[pods.Items[0].Name]
}

// get returns the status of an answer, and its body.
func (s *suite) get(address string) (int, string) {
	s.Helper()
	resp, err := http.Get(address)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
}
