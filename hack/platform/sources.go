// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// leaderLabel is what the artifact Service selects.
const leaderLabel = "weir.dev/leader=true"

// StartSourceReplicas starts n replicas of source-controller, each with a disk
// and a pod of its own, of which one leads, behind a Balancer that does what
// the artifact Service does: it follows the leader's label. It returns once all
// are ready. Stop ends them with the rest.
func (p *Platform) StartSourceReplicas(ctx context.Context, n int, flags ...string) ([]*Controller, error) {
	addresses := map[string]string{} // by the pod
	var err error
	if p.balancer, err = forward(ctx, func(ctx context.Context) (string, error) { return p.leadingSource(ctx, addresses) }); err != nil {
		return nil, err
	}
	var errs []error
	for i := range n {
		pod := fmt.Sprintf("source-controller-%d", i)
		address, err := testkit.FreeAddress()
		if err != nil {
			return nil, err
		}
		addresses[pod] = address
		if err := p.createPod(ctx, pod); err != nil {
			return nil, err
		}
		replica, err := p.newController(ctx, "source-controller", func(disk string) []string {
			return append([]string{
				local, "--enable-leader-election", "--storage-path=" + disk, "--storage-addr=" + address, "--storage-adv-addr=" + p.balancer.Addr,
			}, flags...)
		})
		if err != nil {
			return nil, err
		}
		replica.env = []string{"POD_NAME=" + pod, "POD_NAMESPACE=" + Namespace}
		p.replicas = append(p.replicas, replica)
	}
	for _, replica := range p.replicas {
		errs = append(errs, replica.Start(ctx))
	}
	return p.replicas, errors.Join(errs...)
}

// leadingSource is the address of the replica whose pod has the leader's label.
func (p *Platform) leadingSource(ctx context.Context, addresses map[string]string) (string, error) {
	pods, err := p.client.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: leaderLabel})
	if err != nil {
		return "", err
	}
	for i := range pods.Items {
		if address, ok := addresses[pods.Items[i].GetName()]; ok {
			return address, nil
		}
	}
	return "", errors.New("no pod has the label " + leaderLabel)
}

// createPod makes a pod that nothing runs: a process stands for it.
func (p *Platform) createPod(ctx context.Context, name string) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "namespace": Namespace},
		"spec": map[string]any{
			"schedulerName":   "nobody",
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": int64(65534), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containers": []any{map[string]any{
				"name": "manager", "image": "none",
				"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}},
			}},
		},
	}}
	_, err := p.client.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(Namespace).Create(ctx, pod, metav1.CreateOptions{})
	return err
}
