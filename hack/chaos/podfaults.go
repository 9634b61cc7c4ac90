// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"github.com/weir-gitops/weir/hack/platform"
)

// podScenarios are those that take pods.
func podScenarios() []scenario {
	return []scenario{
		{
			name: "leader", did: "the leader of source-controller killed; until an artifact can be downloaded from another replica", times: 10,
			strike: onPods(failOver), strikeCounts: true, takes: onReplicas,
		},
		{
			name: "drain", did: "the node drained, and uncordoned after 60 s", times: 2, lasts: time.Minute, strike: onPods(drain), takes: onNode,
		},
		{
			name: "disk-full", did: "the disk of source-controller full for 60 s", times: 2, lasts: time.Minute, strike: onPods(fillDisk), takes: onNode,
		},
		{
			name: "memory", did: "kustomize-controller at a memory limit of 16 MiB, where the kernel ends it, for 60 s after it first did", times: 2, lasts: time.Minute,
			strike: onPods(starve), takes: onNode,
		},
	}
}

// onPods is a strike for the ground of pods alone.
func onPods(do func(ctx context.Context, a *arena, g *podGround) (func(context.Context) error, error)) strike {
	return func(ctx context.Context, a *arena) (func(context.Context) error, error) {
		g, ok := a.ground.(*podGround)
		if !ok {
			return nil, fmt.Errorf("this takes pods, and there are %s", a.ground.name())
		}
		return do(ctx, a, g)
	}
}

// leaderLabel is what the leader of source-controller puts on its pod.
const leaderLabel = "weir.dev/leader"

// failOver kills the leader of source-controller and returns when an artifact of
// the load can be downloaded from another pod.
func failOver(ctx context.Context, a *arena, g *podGround) (func(context.Context) error, error) {
	leader, err := g.leader(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.killPod(ctx, leader); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, rightPatience, errNotRight)
	defer cancel()
	return nil, await(ctx, func(ctx context.Context) error {
		next, err := g.leader(ctx)
		if err != nil {
			return err
		}
		if next.UID == leader.UID {
			return errors.New("the leader is the one that was killed")
		}
		return a.download(ctx, g, next)
	})
}

// leader is the pod of source-controller that leads.
func (g *podGround) leader(ctx context.Context) (*corev1.Pod, error) {
	found, err := g.replicas(ctx, sourceController)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].Labels[leaderLabel] == "true" {
			return &found[i], nil
		}
	}
	return nil, errors.New("no pod of source-controller leads")
}

// download fetches the artifact of the apps as the other controllers do: by the
// Service, which has to lead to a certain pod alone.
func (a *arena) download(ctx context.Context, g *podGround, from *corev1.Pod) error {
	slices, err := g.clients.DiscoveryV1().EndpointSlices(platform.Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + sourceController})
	if err != nil {
		return err
	}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.TargetRef != nil && endpoint.TargetRef.UID != from.UID {
				return fmt.Errorf("the Service leads to %s", endpoint.TargetRef.Name)
			}
		}
	}
	repository, err := a.client.Resource(platform.GitRepositories).Namespace(ties).Get(ctx, "apps", metav1.GetOptions{})
	if err != nil {
		return err
	}
	address, _, _ := unstructured.NestedString(repository.Object, "status", "artifact", "url")
	_, path, found := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	if !found {
		return errors.New("the GitRepository has no artifact")
	}
	_, err = g.clients.CoreV1().Services(platform.Namespace).ProxyGet("http", sourceController, "80", "/"+path, nil).DoRaw(ctx)
	return err
}

// drain empties the node as its administrator does. What a disruption budget
// keeps there stays.
func drain(ctx context.Context, _ *arena, g *podGround) (func(context.Context) error, error) {
	node := g.p.Cluster.Node().Name
	_, err := g.p.Kubectl(ctx, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=20s")
	if err != nil && strings.Contains(err.Error(), "disruption budget") {
		err = nil
	}
	return func(ctx context.Context) error {
		_, err := g.p.Kubectl(ctx, "uncordon", node)
		return err
	}, err
}

// smallDisk gives source-controller a disk of its own, of 16 MiB.
const smallDisk = `{"spec":{"template":{"spec":{"volumes":[{"name":"data","emptyDir":{"medium":"Memory","sizeLimit":"16Mi"}}]}}}}`

// fillDisk writes until nothing more fits on the disk of source-controller.
func fillDisk(ctx context.Context, a *arena, g *podGround) (func(context.Context) error, error) {
	restore, err := g.restorer(ctx, sourceController)
	if err != nil {
		return nil, err
	}
	a.afterwards(restore)
	if err := g.patchAndWait(ctx, sourceController, smallDisk); err != nil {
		return nil, err
	}
	found, err := g.replicas(ctx, sourceController)
	if err != nil {
		return nil, err
	}
	var fillers []string
	for i := range found {
		pids, err := g.processes(&found[i])
		if err != nil {
			return nil, err
		}
		for _, pid := range pids {
			filler := filepath.Join("/proc", strconv.Itoa(pid), "root/data/filler")
			if err := fill(filler); err != nil {
				return nil, err
			}
			fillers = append(fillers, filler)
		}
	}
	if len(fillers) == 0 {
		return nil, errors.New("source-controller does not run")
	}
	return func(context.Context) error {
		var errs []error
		for _, filler := range fillers {
			// The pod may be another one by now, whose disk is empty.
			if err := os.Remove(filler); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}, nil
}

// fill writes a file until the disk is full.
func fill(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("fill a disk: %w", err)
	}
	_, err = io.Copy(file, endless{})
	if closed := file.Close(); closed != nil && !errors.Is(closed, syscall.ENOSPC) {
		return closed
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill a disk: it is not full: %w", err)
	}
	return nil
}

// endless is a reader of zeros without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// littleMemory ends what runs before it starts what cannot.
const littleMemory = `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"spec":{"containers":[
	{"name":"manager","resources":{"requests":{"memory":"16Mi"},"limits":{"memory":"16Mi"}}}]}}}}`

// starve has kustomize-controller run with less memory than it takes.
func starve(ctx context.Context, _ *arena, g *podGround) (func(context.Context) error, error) {
	lift, err := g.restorer(ctx, kustomizeController)
	if err != nil {
		return nil, err
	}
	if err := g.patch(ctx, kustomizeController, littleMemory); err != nil {
		return nil, err
	}
	patient, cancel := context.WithTimeout(ctx, rightPatience)
	defer cancel()
	if err := await(patient, func(ctx context.Context) error { return g.ended(ctx, kustomizeController, "OOMKilled") }); err != nil {
		return nil, errors.Join(err, lift(ctx))
	}
	return lift, nil
}

// ended returns nil if a container of a controller has ended for a reason, and
// otherwise how the containers are.
func (g *podGround) ended(ctx context.Context, controller, reason string) error {
	found, err := g.replicas(ctx, controller)
	if err != nil {
		return err
	}
	var states []string
	for i := range found {
		for _, status := range found[i].Status.ContainerStatuses {
			for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
				if state.Terminated != nil && state.Terminated.Reason == reason {
					return nil
				}
				states = append(states, state.String())
			}
		}
	}
	return fmt.Errorf("no container of %s was ended as %s; they are %s", controller, reason, strings.Join(states, ", "))
}

// patchAndWait changes a Deployment and returns when its new pods are there.
func (g *podGround) patchAndWait(ctx context.Context, controller, change string) error {
	if err := g.patch(ctx, controller, change); err != nil {
		return err
	}
	_, err := g.p.Kubectl(ctx, "rollout", "status", "deployment", controller, "--namespace="+platform.Namespace, "--timeout=120s")
	return err
}

// restorer returns what makes a Deployment again what it is now: what comes after
// this is to find what is shipped.
func (g *podGround) restorer(ctx context.Context, controller string) (func(context.Context) error, error) {
	deployments := g.clients.AppsV1().Deployments(platform.Namespace)
	shipped, err := deployments.Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("see what %s is shipped as: %w", controller, err)
	}
	return func(ctx context.Context) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			now, err := deployments.Get(ctx, controller, metav1.GetOptions{})
			if err != nil {
				return err
			}
			now.Spec = shipped.Spec
			_, err = deployments.Update(ctx, now, metav1.UpdateOptions{})
			return err
		})
	}, nil
}

// patch changes a Deployment.
func (g *podGround) patch(ctx context.Context, controller, change string) error {
	_, err := g.p.Kubectl(ctx, "patch", "deployment", controller, "--namespace="+platform.Namespace, "--patch="+change)
	return err
}
