// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package imageupdateautomation_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"sigs.k8s.io/controller-runtime/pkg/client"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// From a pushed tag to a commit with its trailers, and no second commit.
func TestTagPushedIsCommitted(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	first := s.push("1.0.0", "0.9")
	second := s.push("1.1.0", "0.93")
	model := s.image("model")
	s.commit("Serve the model", map[string]string{"apps/pod.yaml": s.pod("auto", model+":1.0.0@"+first), "other.yaml": s.pod("else", model+":1.0.0")})
	s.create(s.automation("auto", gated))
	s.Start()

	s.awaitFile("apps/pod.yaml", model+":1.1.0@"+second+" #")
	a := s.of("auto").Await("is ready", isReady)
	if got := conditions.GetMessage(a, imagev1.ReadyCondition); got != "repository up-to-date" {
		t.Errorf("Ready says %q", got)
	}
	if strings.Contains(s.file("main", "other.yaml"), "1.1.0") {
		t.Error("a marker of another automation was followed")
	}
	head, err := s.repo.Git(t.Context(), "rev-parse", "main")
	s.Must(err)
	want := []string{
		"Update from image update automation", "",
		"Automation: " + s.Namespace + "/auto (" + string(a.UID) + ")",
		"Image: " + model + ":1.1.0@" + second,
		"Previous-Image: " + model + ":1.0.0",
		"Previous-Digest: " + first,
		"Policy: model semver >=1.0.0",
		"Gate: accuracy=0.93>=0.895",
		"Source: GitRepository/" + s.Namespace + "/repo",
	}
	if diff := cmp.Diff(want, strings.Split(s.log("main")[0], "\n")); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if a.Status.LastPushCommit != head || a.Status.ObservedSourceRevision != "main@sha1:"+head || a.Status.LastPushTime == nil {
		t.Errorf("status %+v, want the commit %s", a.Status, head)
	}
	if got := a.Status.Weir.Images[0].Current; got == nil || got.Tag != "1.1.0" || got.Digest != second {
		t.Errorf("current %+v", got)
	}
	if got := s.of("auto").Events(imagev1.SucceededReason); len(got) != 1 || got[0] != "pushed commit '"+head[:7]+"' to branch 'main'\nUpdate from image update automation" {
		t.Errorf("events %q", got)
	}
	source := &sourcev1.GitRepository{}
	s.Must(s.Kube.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "repo"}, source))
	if source.Annotations[imagev1.ReconcileRequestAnnotation] == "" {
		t.Error("the source was not asked to look at the pushed branch")
	}

	s.of("auto").Request()
	if got := s.of("auto").Request(); got.Status.LastPushCommit != head || len(s.log("main")) != 2 {
		t.Errorf("a second run made another commit: %q", s.log("main"))
	}
	if pushes := s.git.Stats().Pushes; pushes != 1 {
		t.Errorf("%d pushes, want 1", pushes)
	}
}

func TestCommitsAreSigned(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	digest := s.push("1.1.0", "")
	s.commit("Serve the model", map[string]string{"pod.yaml": s.pod("auto", s.image("model")+":1.0.0")})
	_, key, err := ed25519.GenerateKey(rand.Reader)
	s.Must(err)
	block, err := ssh.MarshalPrivateKey(key, "")
	s.Must(err)
	signer, err := ssh.NewSignerFromKey(key)
	s.Must(err)
	s.create(s.automation("auto", func(a *imagev1.ImageUpdateAutomation) {
		a.Spec.GitSpec.Commit.SigningKey = &imagev1.SigningKey{
			Type: imagev1.SigningKeyTypeSSH, SecretRef: s.secret("key", map[string]string{"identity": string(pem.EncodeToMemory(block))}),
		}
	}))
	s.Start()
	s.awaitFile("pod.yaml", ":1.1.0@"+digest)
	signers := filepath.Join(t.TempDir(), "signers")
	s.Must(os.WriteFile(signers, []byte("weir@example.com "+string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), 0o600))
	if _, err := s.repo.Git(t.Context(), "-c", "gpg.ssh.allowedSignersFile="+signers, "verify-commit", "main"); err != nil {
		t.Error(err)
	}
}
