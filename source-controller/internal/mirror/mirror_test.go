// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAFailoverNeedsNoRemote: the leader is killed while Git is down, and the
// other replica serves the same artifact, with the same status.
func TestAFailoverNeedsNoRemote(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	first := s.replica("first")
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	want := s.Fetch(before.Status.Artifact)
	second := s.replica("second")
	second.awaitReady()
	if !second.holds(before.Status.Artifact) {
		t.Error("a replica is ready before it has the artifact")
	}
	s.stopGit()
	begin := time.Now()
	first.kill()
	s.Eventually("the second replica serves the artifact", func() bool {
		code, body := s.get(before.Status.Artifact.URL)
		return code == http.StatusOK && body == string(want)
	})
	t.Logf("served again after %s, with a lease of 4 s", time.Since(begin))
	second.awaitLead()
	s.Ask()
	after := s.AwaitFailure("GitOperationFailed", "failed to checkout")
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	s.startGit()
	s.Request()
	after = s.AwaitRevision("main@sha1:" + hash)
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	if got := s.git.Stats().Fetches; got != 0 {
		t.Errorf("%d fetches by the new leader: it has the artifact", got)
	}
	if leads := first.pod; s.marked(leads) {
		t.Error("the pod of the leader that was killed is still marked")
	}
}

// marked reports whether a pod is one that the Service reaches.
func (s *suite) marked(pod string) bool {
	s.Helper()
	endpoint := s.service.endpoint(s.Context(), s.Namespace)
	s.service.mu.Lock()
	defer s.service.mu.Unlock()
	return s.service.addresses[pod] == endpoint
}

// TestNothingWrongIsServed: what does not arrive as it should is not on the disk
// when the replica is elected, and the object says that it has no artifact until
// there is one again.
func TestNothingWrongIsServed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*http.Response){
		"tampered with": func(r *http.Response) {
			body, _ := io.ReadAll(r.Body)
			body[len(body)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(body))
		},
		"too long": func(r *http.Response) {
			r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader("more")))
			r.Header.Del("Content-Length")
			r.ContentLength = -1
		},
		"cut short": func(r *http.Response) {
			r.Body = io.NopCloser(io.LimitReader(r.Body, 10))
			r.Header.Del("Content-Length")
			r.ContentLength = -1
		},
		"under way": func(r *http.Response) {
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 10), stuck{r.Request.Context().Done()}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			hash := s.commit(map[string]string{"a": "1"})
			first := s.replica("first")
			first.awaitLead()
			s.create()
			before := s.AwaitRevision("main@sha1:" + hash)
			passed := make(chan struct{}, 100)
			s.service.inject(func(r *http.Response) {
				spoil(r)
				passed <- struct{}{}
			})
			second := s.replica("second")
			for range 2 { // tries, or one that goes on
				<-passed
				if name == "under way" {
					break
				}
			}
			if second.holds(before.Status.Artifact) {
				t.Error("the replica keeps what is not the artifact")
			}
			s.stopGit()
			first.kill()
			second.awaitLead()
			s.service.inject(nil)
			s.Await("has no artifact", func(g *sourcev1.GitRepository) bool { return g.Status.Artifact == nil && !conditions.IsReady(g) })
			s.Eventually("the new leader says that it has none", func() bool {
				code, _ := s.get(before.Status.Artifact.URL)
				if code == http.StatusOK {
					t.Fatal("something was served")
				}
				return code == http.StatusNotFound
			})
			if left := second.files("gitrepository", "repo/.tmp-*"); len(left) > 0 {
				t.Errorf("half of an artifact was left: %s", left)
			}
			s.startGit()
			after := s.AwaitRevision("main@sha1:" + hash)
			if after.Status.Artifact.Digest != before.Status.Artifact.Digest {
				t.Errorf("artifact %+v, before %+v", after.Status.Artifact, before.Status.Artifact)
			}
			s.Fetch(after.Status.Artifact)
		})
	}
}

// stuck is a body that does not go on.
type stuck struct{ end <-chan struct{} }

// Read implements io.Reader.
func (s stuck) Read([]byte) (int, error) {
	<-s.end
	return 0, io.EOF
}

// TestCopiesComeAndGo: a new revision is copied, the old one goes by the rules of
// the leader, and with the object everything goes, seen or not.
func TestCopiesComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit(map[string]string{"a": "1"})
	first := s.replica("first", "--artifact-retention-records=1")
	first.awaitLead()
	s.create()
	s.createAs("other")
	second := s.replica("second", "--artifact-retention-records=1")
	copies := func(name string) int { return len(second.files("gitrepository", name+"/*.tar.gz")) }
	s.Eventually("both are copied", func() bool { return copies("repo") == 1 && copies("other") == 1 })

	hash := s.commit(map[string]string{"a": "2"})
	s.Request()
	next := s.AwaitRevision("main@sha1:" + hash)
	s.Eventually("the new one alone is there", func() bool { return second.holds(next.Status.Artifact) && copies("repo") == 1 })

	s.Must(s.Kube.Delete(s.Context(), next))
	s.Eventually("the copy goes with its object", func() bool { return len(second.files("gitrepository", "repo")) == 0 })

	second.kill()
	other := &sourcev1.GitRepository{}
	s.Must(s.Kube.Get(s.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "other"}, other))
	s.Must(s.Kube.Delete(s.Context(), other))
	s.Eventually("the object is gone", func() bool {
		err := s.Kube.Get(s.Context(), client.ObjectKeyFromObject(other), other)
		return apierrors.IsNotFound(err) && len(first.files("gitrepository", "other")) == 0
	})
	second.start()
	s.Eventually("so does one whose object went unseen", func() bool { return len(second.files("gitrepository", "other")) == 0 })
}

// TestADiskThatDoesNotWork: a replica that cannot write copies is a replica all
// the same, and copies when it can.
func TestADiskThatDoesNotWork(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	first := s.replica("first")
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	second := s.replica("second")
	second.awaitReady()
	second.kill()
	s.Must(os.RemoveAll(filepath.Join(second.Storage, "gitrepository")))
	s.Must(os.WriteFile(filepath.Join(second.Storage, "gitrepository"), nil, 0o600))
	second.start()
	second.awaitReady()
	if second.holds(before.Status.Artifact) {
		t.Fatal("the disk works")
	}
	s.Must(os.Remove(filepath.Join(second.Storage, "gitrepository")))
	s.Eventually("the artifact is copied", func() bool { return second.holds(before.Status.Artifact) })
}

// TestRotIsReplaced: a file that is not the artifact any more is no copy.
func TestRotIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	first := s.replica("first")
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	want := s.Fetch(before.Status.Artifact)
	second := s.replica("second")
	second.awaitReady()
	second.kill()
	file := filepath.Join(second.Storage, before.Status.Artifact.Path)
	s.Must(os.WriteFile(file, []byte("rot"), 0o600))
	second.start()
	s.Eventually("the copy is right again", func() bool {
		got, err := os.ReadFile(file)
		return err == nil && bytes.Equal(got, want)
	})
}
