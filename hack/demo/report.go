// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	logs := s.ground.logs(ctx, logLines)
	for _, name := range slices.Sorted(maps.Keys(logs)) {
		s.out.heading("The last lines of " + name + "'s log")
		s.out.block(logs[name])
	}
}

// invite says how to look around in what was left running.
func (s *story) invite() {
	repository, kubectl := s.platform.Repository, kubectlPath(s.platform)
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
kubectl get kustomizations -n llm-platform --watch`, repository.Remote, serverGPUs))
	s.out.note("What the controllers say:")
	s.out.block(s.ground.follow())
}
