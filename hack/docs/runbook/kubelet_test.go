// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package runbook

import (
	"context"
	"errors"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/platform"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// A kubelet does for the controllers' processes what kubelets do for
// containers: it runs those whose Deployments ask for replicas, starts them
// again when they have ended or were told to restart, and stops the others.
type kubelet struct {
	platform *platform.Platform
	core     kubernetes.Interface
	cancel   context.CancelFunc
	done     chan struct{}

	mu sync.Mutex
	// paused leaves everything as it is.
	paused bool
	// restarted is the annotation of each Deployment that its process was
	// started with.
	restarted map[string]string
	last      error
}

func startKubelet(ctx context.Context, p *platform.Platform, core kubernetes.Interface) *kubelet {
	ctx, cancel := context.WithCancel(ctx)
	k := &kubelet{platform: p, core: core, cancel: cancel, done: make(chan struct{}), restarted: map[string]string{}}
	go func() {
		defer close(k.done)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				k.sync(ctx)
			}
		}
	}()
	return k
}

// end returns when the kubelet has let go of the processes.
func (k *kubelet) end() {
	k.cancel()
	<-k.done
}

// pause keeps the kubelet from doing anything, or lets it.
func (k *kubelet) pause(paused bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paused = paused
}

// complaint is what went wrong last, if anything did in the last round.
func (k *kubelet) complaint() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

func (k *kubelet) sync(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.paused {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, perStep)
	defer cancel()
	var errs []error
	for _, c := range k.platform.Controllers() {
		errs = append(errs, k.syncOne(ctx, c))
	}
	k.last = errors.Join(errs...)
}

func (k *kubelet) syncOne(ctx context.Context, c *platform.Controller) error {
	d, err := k.core.AppsV1().Deployments(platform.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	wanted := err == nil && asks(d)
	mark := ""
	if wanted {
		mark = d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"]
	}
	if c.Running() && (!wanted || mark != k.restarted[c.Name]) {
		if err := c.Stop(); err != nil {
			return err
		}
	}
	if c.Running() || !wanted {
		return nil
	}
	k.restarted[c.Name] = mark
	return k.start(ctx, c)
}

func asks(d *appsv1.Deployment) bool {
	return d.DeletionTimestamp == nil && (d.Spec.Replicas == nil || *d.Spec.Replicas > 0)
}

// patience is how long a controller that was started may keep the others
// waiting until it is ready. It may end before, for want of a right that is on
// its way, and is started again.
const patience = 2 * time.Second

// start starts a controller as a new pod would: with a fresh token and an
// empty disk.
func (k *kubelet) start(ctx context.Context, c *platform.Controller) error {
	account, err := k.platform.Cluster.ServiceAccountConfig(ctx, platform.Namespace, c.Name)
	if err != nil {
		return err
	}
	if err := testkit.WriteKubeconfig(account, c.Kubeconfig); err != nil {
		return err
	}
	if err := c.LoseDisk(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.Start(ctx)
}
