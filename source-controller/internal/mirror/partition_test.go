// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// TestALeaderThatIsCutOffEnds: a leader that does not reach the API server lives,
// has its label, and answers. It ends by itself before another one leads, and
// what it cannot take off itself is taken off it.
func TestALeaderThatIsCutOffEnds(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	s.Must(err)
	proxy, err := testkit.NewFaultProxy(config)
	s.Must(err)
	t.Cleanup(proxy.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	s.Must(testkit.WriteKubeconfig(proxy.Config(config), kubeconfig))

	hash := s.commit(map[string]string{"a": "1"})
	first := s.prepare("first")
	first.start("KUBECONFIG=" + kubeconfig)
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	second := s.replica("second")
	second.awaitReady()

	s.stopGit()
	proxy.Inject(func(*http.Request) testkit.Fault { return testkit.Fault{Drop: true} })
	proxy.CutWatches()
	if err := first.process.Wait(); err == nil {
		t.Error("the leader ended without an error")
	}
	if conn, err := net.Dial("tcp", s.service.addresses["first"]); err == nil {
		_ = conn.Close()
		t.Error("a leader that has lost its lease still serves artifacts")
	}
	second.awaitLead()
	s.Eventually("the first one is unmarked", func() bool { return s.marked("second") })
	s.Eventually("the second one serves the artifact", func() bool {
		code, _ := s.get(before.Status.Artifact.URL)
		return code == http.StatusOK
	})
}

// TestARolloutWaitsForTheCopies: a replica that has to wait for the bytes is not
// Ready, one that cannot get them is.
func TestARolloutWaitsForTheCopies(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	hash := s.commit(map[string]string{"a": "1"})
	first := s.replica("first")
	first.awaitLead()
	s.create()
	before := s.AwaitRevision("main@sha1:" + hash)
	asked, pass := make(chan struct{}, 100), make(chan struct{})
	s.service.inject(func(r *http.Response) {
		asked <- struct{}{}
		select {
		case <-pass:
		case <-r.Request.Context().Done():
		}
	})
	second := s.replica("second")
	<-asked
	var answer string
	s.Eventually("the probe is served", func() bool {
		var code int
		code, answer = s.get("http://" + second.health + "/readyz")
		return code != 0
	})
	if second.holds(before.Status.Artifact) || answer == "ok" {
		t.Errorf("the replica is ready before it has copied anything: %s", answer)
	}
	close(pass)
	second.awaitReady()
	if !second.holds(before.Status.Artifact) {
		t.Error("the replica is ready without the artifact")
	}
}
