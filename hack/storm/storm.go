// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package storm has many clients create and delete GPU pods at once while the
// replicas of gpu-quota-controller are killed and started again, and replays
// afterwards what the API server has stored: at no resource version may a quota
// hold more than its limit.
package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// GPU is the resource that the pods of the storm ask for.
const GPU corev1.ResourceName = "nvidia.com/gpu"

// Limits of the quotas: two teams below a root are promised more than it has.
const (
	rootHard = 20
	teamHard = 15
	teams    = 2
)

// Plan of a storm.
type Plan struct {
	// Roots is how many trees there are, of three quotas and two namespaces
	// each.
	Roots int
	// Creates is how many pods are asked for.
	Creates int
	// Workers is how many clients ask at a time.
	Workers int
	// KillEvery is the mean time between two kills; zero: nobody is killed.
	KillEvery time.Duration
	// Settling is how long to wait, when all is over, until no reservation is
	// open. A pod whose review outlived its replica leaves one for a minute and
	// a half.
	Settling time.Duration
	// Seed makes the choices of two storms the same.
	Seed uint64
}

// Tally is how the creates of a storm ended.
type Tally struct {
	Admitted, Denied, Busy, Failed, Deleted int64
}

// unexpected is the error of a create that no storm explains.
var errUnexpected = errors.New("unexpected answer")

// blow runs the clients of a storm. Each creates pods in random teams, and
// deletes one of its own now and then, so that the quotas fill, and have room
// again.
func blow(ctx context.Context, client kubernetes.Interface, plan Plan) (*Tally, error) {
	tally := &Tally{}
	var left atomic.Int64
	left.Store(int64(plan.Creates))
	group, ctx := errgroup.WithContext(ctx)
	for worker := range plan.Workers {
		group.Go(func() error {
			c := &cloud{client: client, plan: plan, tally: tally, random: rand.New(rand.NewPCG(plan.Seed, uint64(worker)))} //#nosec G404 -- a choice that can be repeated
			for left.Add(-1) >= 0 {
				if err := c.rain(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return tally, group.Wait()
}

// cloud is one client.
type cloud struct {
	client kubernetes.Interface
	plan   Plan
	tally  *Tally
	random *rand.Rand
	own    []*corev1.Pod
}

// rain creates a pod, and deletes one in two of three cases.
func (c *cloud) rain(ctx context.Context) error {
	namespace := namespaceName(c.random.IntN(c.plan.Roots), c.random.IntN(teams))
	pod, err := c.client.CoreV1().Pods(namespace).Create(ctx, newPod(1+c.random.Int64N(4)), metav1.CreateOptions{})
	switch {
	case err == nil:
		atomic.AddInt64(&c.tally.Admitted, 1)
		c.own = append(c.own, pod)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: GPUQuota"):
		atomic.AddInt64(&c.tally.Denied, 1)
	case apierrors.IsTooManyRequests(err):
		atomic.AddInt64(&c.tally.Busy, 1)
	case apierrors.IsInternalError(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err):
		atomic.AddInt64(&c.tally.Failed, 1) // the replica was just killed
	default:
		return fmt.Errorf("%w to a pod in %s: %w", errUnexpected, namespace, err)
	}
	if len(c.own) == 0 || c.random.IntN(3) == 0 {
		return nil
	}
	i := c.random.IntN(len(c.own))
	victim := c.own[i]
	c.own = append(c.own[:i], c.own[i+1:]...)
	err = c.client.CoreV1().Pods(victim.Namespace).Delete(ctx, victim.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the pod %s/%s: %w", victim.Namespace, victim.Name, err)
	}
	atomic.AddInt64(&c.tally.Deleted, 1)
	return nil
}

// newPod asks for a number of GPUs. There is no node, so it stays pending, and
// counts.
func newPod(gpus int64) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "drop-"},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{
				Name: "drop", Image: "none",
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{GPU: *resource.NewQuantity(gpus, resource.DecimalSI)}},
			}},
		},
	}
}

func rootName(root int) string            { return fmt.Sprintf("storm-%02d", root) }
func namespaceName(root, team int) string { return fmt.Sprintf("storm-%02d-%d", root, team) }
