// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-gitops/weir/hack/platform"
)

const (
	// diagnosisPatience is how long the look at a failed step may take.
	diagnosisPatience = 20 * time.Second
	// logLines is how much of each log it shows.
	logLines = 25
)

// diagnose shows what may explain a step that was not seen: the objects in
// question and the ends of the logs.
func (s *story) diagnose(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, diagnosisPatience)
	defer cancel()
	if s.platform.Cluster != nil {
		for _, args := range [][]string{
			{"get", "gitrepositories,kustomizations", "--all-namespaces"},
			{"get", "gpuquotas", "--output=wide"},
			{"get", "deployments,statefulsets,jobs,pods", "--all-namespaces", "--selector=app.kubernetes.io/part-of=llm-platform"},
			{"get", "events", "--namespace=" + platform.PlatformNamespace, "--sort-by=.metadata.creationTimestamp"},
		} {
			text, err := s.platform.Kubectl(ctx, args...)
			if err != nil {
				text = err.Error()
			}
			s.out.heading("kubectl " + args[0] + " " + args[1])
			s.out.block(text)
		}
	}
	for _, c := range s.platform.Controllers() {
		s.out.heading("The last lines of " + c.Name + "'s log")
		s.out.block(c.LogTail(logLines))
	}
}

// invite says how to look around in what was left running.
func (s *story) invite() {
	repository, kubectl := s.platform.Repository, filepath.Join(s.platform.Cluster.Assets(), "kubectl")
	s.out.heading("Everything is left running until Ctrl-C. To look around, in another terminal:")
	s.out.block(fmt.Sprintf(`export KUBECONFIG=%s
alias kubectl=%s
kubectl get gitrepositories,kustomizations,gpuquotas --all-namespaces
kubectl get pods --all-namespaces
kubectl scale deployment model-server -n team-serving --replicas=5; kubectl get events -n llm-platform --watch`,
		s.platform.Cluster.Kubeconfig(), kubectl))
	s.out.note("To commit something and watch it arrive:")
	s.out.block(fmt.Sprintf(`git clone %s && cd llm-platform
sed -i 's/replicas: 1/replicas: 2/' %s
git commit -am 'Serve with two replicas' && git push
kubectl get kustomizations -n llm-platform --watch`, repository.URL, serverGPUs))
	s.out.note("What the controllers say:")
	logs := make([]string, 0, len(platform.Programs()))
	for _, c := range s.platform.Controllers() {
		logs = append(logs, c.Log)
	}
	s.out.block("tail -f " + strings.Join(logs, " "))
}
