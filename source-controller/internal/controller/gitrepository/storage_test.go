// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gitrepository_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
	"github.com/weir-gitops/weir/source-controller/internal/testkit/rig"
)

func TestALostDiskIsRebuilt(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("main@sha1:" + hash)
	s.Stop()
	s.LoseDisk()
	s.Start()
	after := s.Await("is built again", func(g *sourcev1.GitRepository) bool {
		_, err := os.Stat(s.File(before))
		return err == nil && conditions.IsReady(g) && g.Status.Artifact != nil
	})
	if after.Status.Artifact.Digest != before.Status.Artifact.Digest || s.Download(after.Status.Artifact)["a"] != "1" {
		t.Errorf("artifact %+v, before %+v", after.Status.Artifact, before.Status.Artifact)
	}
}

func TestARestartRebuildsNothing(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("main@sha1:" + hash)
	s.Stop()
	s.Start()
	after := s.Request()
	if diff := cmp.Diff(before.Status.Artifact, after.Status.Artifact); diff != "" {
		t.Error(diff)
	}
	if got := s.git.Stats().Fetches; got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestADamagedArtifactIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	s.create()
	s.Start()
	before := s.AwaitRevision("main@sha1:" + hash)
	s.Must(os.WriteFile(s.File(before), []byte("rot"), 0o600))
	after := s.Request()
	s.AwaitEvent("ArtifactVerificationFailed", "failed to verify integrity of artifact: ")
	if after.Status.Artifact.Digest != before.Status.Artifact.Digest || s.Download(after.Status.Artifact)["a"] != "1" {
		t.Errorf("artifact %+v", after.Status.Artifact)
	}
	if got := s.git.Stats().Fetches; got != 1 {
		t.Errorf("%d fetches: what was fetched is on disk", got)
	}
}

func TestSymlinksStayOut(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash, err := s.repo.Commit(t.Context(), testkit.GitCommit{Files: map[string]testkit.GitFile{
		"a":              {Content: "1"},
		"out":            {Content: "../../../../etc/passwd", Mode: "120000"},
		"absolute":       {Content: "/etc/passwd", Mode: "120000"},
		"dir/inside":     {Content: "../a", Mode: "120000"},
		".sourceignore":  {Content: "/etc/hostname", Mode: "120000"},
		"dir/.gitignore": {Content: "x"},
	}})
	s.Must(err)
	s.create()
	s.Start()
	s.Request()
	g := s.AwaitRevision("main@sha1:" + hash)
	if diff := cmp.Diff(map[string]string{"a": "1"}, s.Download(g.Status.Artifact)); diff != "" {
		t.Error(diff)
	}
}

func TestAbsurdSizes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ flag, reason, message string }{
		"artifact": {"--artifact-max-size=100000", "ArchiveOperationFailed", "unable to archive artifact to storage: store artifact "},
		"transfer": {"--git-max-transfer-size=100000", "GitOperationFailed", "the commit needs a transfer of more than 100000 bytes, the limit of --git-max-transfer-size"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			first := s.commit(map[string]string{"a": "1"})
			s.create()
			s.Start(tc.flag)
			before := s.AwaitRevision("main@sha1:" + first)
			s.commit(map[string]string{"big": noise(1, 400_000)})
			s.Request()
			g := s.AwaitFailure(tc.reason, tc.message)
			if !strings.Contains(conditions.GetMessage(g, "Ready"), "100000 bytes") {
				t.Errorf("the message does not name the limit: %s", conditions.GetMessage(g, "Ready"))
			}
			if diff := cmp.Diff(before.Status.Artifact, g.Status.Artifact); diff != "" {
				t.Error(diff)
			}
			s.Download(g.Status.Artifact)
		})
	}
}

func noise(seed uint64, bytes int) string {
	random := rand.New(rand.NewPCG(seed, 2))
	var b strings.Builder
	for b.Len() < bytes {
		fmt.Fprintf(&b, "%x\n", random.Uint64())
	}
	return b.String()[:bytes]
}

func TestIgnoreChangesTheArtifact(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a.yaml": "1", "b.md": "2", "c.jpg": "3", "docs/.sourceignore": "*.txt", "docs/d.txt": "4"})
	s.create()
	s.Start()
	g := s.AwaitRevision("main@sha1:" + hash)
	checkNames := func(want ...string) {
		t.Helper()
		got := s.Download(g.Status.Artifact)
		for _, name := range want {
			if _, ok := got[name]; !ok {
				t.Errorf("%s is missing", name)
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("more than wanted: %v", got)
		}
	}
	checkNames("a.yaml", "b.md", "c.jpg", "docs/.sourceignore")
	digest, ignore := g.Status.Artifact.Digest, "*.md\n.sourceignore"
	s.Edit(func(g *sourcev1.GitRepository) { g.Spec.Ignore = &ignore })
	g = s.Await("has another artifact", func(g *sourcev1.GitRepository) bool {
		return conditions.IsReady(g) && g.Status.Artifact.Digest != digest
	})
	checkNames("a.yaml", "c.jpg")
	if g.Status.ObservedIgnore == nil || *g.Status.ObservedIgnore != ignore || !g.Status.Artifact.HasRevision("main@sha1:"+hash) {
		t.Errorf("status %+v", g.Status)
	}
	if got := s.git.Stats().Fetches; got != 1 {
		t.Errorf("%d fetches: the commit is the same", got)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	s.commit(map[string]string{"a": "0"})
	s.create()
	s.Start()
	for i := range 4 {
		hash := s.commit(map[string]string{"a": fmt.Sprint(i + 1)})
		if g := s.Request(); !g.Status.Artifact.HasRevision("main@sha1:" + hash) {
			t.Fatalf("artifact %+v", g.Status.Artifact)
		}
	}
	s.Request()
	files, err := filepath.Glob(filepath.Join(s.Storage, "gitrepository", s.Namespace, "repo", "*.tar.gz"))
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v; want two", files, err)
	}
}

// TestKill ends the controller with SIGKILL in the middle of writing an
// artifact, or a pack, again and again, and looks at what is on disk each time.
func TestKill(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("d/%d", i)] = noise(uint64(i), 100_000)
	}
	s.commit(files)
	s.create(func(g *sourcev1.GitRepository) { g.Spec.Interval.Duration = 100 * time.Millisecond })
	halfWritten := []string{
		filepath.Join(s.Storage, "gitrepository", s.Namespace, "repo", ".tmp-*"),
		filepath.Join(s.Storage, ".git-objects", "*", "objects", "pack", "tmp-*"),
	}
	hash, caught := "", 0
	for i := range 6 {
		files["d/0"] = noise(uint64(100+i), 2_000_000)
		hash = s.commit(files)
		caught += s.killWhile(halfWritten[i%2])
		s.checkDisk()
	}
	if caught == 0 {
		t.Error("no kill came in the middle of a write, so this proves nothing")
	}
	s.Start()
	s.Request()
	g := s.AwaitRevision("main@sha1:" + hash)
	if diff := cmp.Diff(files, s.Download(g.Status.Artifact)); diff != "" {
		t.Error("the artifact is not what was committed")
	}
}

// killWhile runs the controller as a process of its own, kills it when a file
// of the pattern appears, and returns how many such files are left.
func (s *suite) killWhile(pattern string) int {
	s.Helper()
	before, _ := filepath.Glob(pattern)
	cmd := s.Process()
	s.Eventually(pattern+" appears", func() bool {
		now, _ := filepath.Glob(pattern)
		return len(now) > len(before)
	})
	s.Must(cmd.Process.Kill())
	_ = cmd.Wait()
	after, _ := filepath.Glob(pattern)
	return max(0, len(after)-len(before))
}

// checkDisk: every artifact on disk is whole, and what the status promises is
// what is there.
func (s *suite) checkDisk() {
	s.Helper()
	artifacts, err := filepath.Glob(filepath.Join(s.Storage, "gitrepository", s.Namespace, "repo", "*.tar.gz"))
	s.Must(err)
	for _, name := range artifacts {
		file, err := os.Open(name)
		s.Must(err)
		if _, err := rig.Unpack(file); err != nil {
			s.Errorf("%s: %v", filepath.Base(name), err)
		}
		file.Close()
	}
	g := s.Get()
	if g.Status.Artifact == nil {
		return
	}
	data, err := os.ReadFile(s.File(g))
	s.Must(err)
	sum := sha256.Sum256(data)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != g.Status.Artifact.Digest {
		s.Errorf("digest on disk %s, in the status %s", got, g.Status.Artifact.Digest)
	}
}
