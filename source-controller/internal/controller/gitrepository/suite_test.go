// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository_test

import (
	"os"
	"testing"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

// env is the cluster of all tests.
var env rig.Env

func TestMain(m *testing.M) { os.Exit(rig.Main(m, &env)) }

// suite is one test: the GitRepository "repo", and a Git server with the
// repository "repo.git" in it.
type suite struct {
	rig.Objects[*sourcev1.GitRepository]

	git  *testkit.GitServer
	repo *testkit.GitRepo
}

func newSuite(t *testing.T, opts ...testkit.GitOption) *suite {
	t.Helper()
	s := &suite{Objects: rig.Of(env.Suite(t), sourcev1.GitRepositoryKind, "repo", func() *sourcev1.GitRepository { return &sourcev1.GitRepository{} })}
	dir := t.TempDir()
	repo, err := testkit.NewGitRepo(t.Context(), dir+"/repo.git")
	s.Must(err)
	s.repo = repo
	s.git, err = testkit.NewGitServer(dir, opts...)
	s.Must(err)
	t.Cleanup(s.git.Close)
	return s
}

// commit writes files to the main branch and returns the hash.
func (s *suite) commit(files map[string]string) string {
	s.Helper()
	hash, err := s.repo.Commit(s.Context(), testkit.GitCommit{
		Message: "Raise the budget of team-a to sixteen GPUs for the release\n\nBecause.",
		Author:  "Ada <ada@example.com>", Files: testkit.Files(files),
	})
	s.Must(err)
	return hash
}

// create makes the GitRepository for the main branch; change may adjust it.
func (s *suite) create(change ...func(*sourcev1.GitRepository)) {
	s.Helper()
	obj := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name},
		Spec: sourcev1.GitRepositorySpec{
			URL:       s.git.URL + "/repo.git",
			Interval:  metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "main"},
		},
	}
	for _, f := range change {
		f(obj)
	}
	s.Must(s.Kube.Create(s.Context(), obj))
}
