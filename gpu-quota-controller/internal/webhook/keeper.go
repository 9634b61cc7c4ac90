// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	admissionclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// writePause is the least time between two writes: if somebody else writes the
// configuration over and over, it is no race to win by speed.
const writePause = 100 * time.Millisecond

// Keeper has the API server's configuration be as it should, and puts back what
// others change in it. Only the leader runs it. When there is nothing to
// enforce there is no configuration.
type Keeper struct {
	Client   admissionclient.ValidatingWebhookConfigurationInterface
	Settings Settings
	// Selection is what quotas select. It is false until that is known; then
	// nothing is changed.
	Selection func() (Selection, bool)
	// Trusted are the authorities to trust, nil if there are none yet.
	Trusted func() []byte
	// Owner is the object that takes the configuration along when it goes.
	Owner func(context.Context) (metav1.OwnerReference, error)
	// Leaving reports whether the controller is being uninstalled.
	Leaving func() bool
	Log     logr.Logger

	wake    chan struct{}
	problem atomic.Pointer[string]
}

var _ manager.LeaderElectionRunnable = (*Keeper)(nil)

// NewKeeper completes k.
func NewKeeper(k *Keeper) *Keeper {
	k.wake = make(chan struct{}, 1)
	return k
}

// Wake has the keeper look again. It does not block.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Problem says why the configuration is not in place, or "". On a replica that
// does not lead it is always "".
func (k *Keeper) Problem() string {
	if problem := k.problem.Load(); problem != nil {
		return *problem
	}
	return ""
}

// NeedLeaderElection is true: one writes.
func (k *Keeper) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (k *Keeper) Start(ctx context.Context) error {
	only := func(options metav1.ListOptions) metav1.ListOptions {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, ConfigurationName).String()
		return options
	}
	events, err := signal(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{}, &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return k.Client.List(ctx, only(options))
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			return k.Client.Watch(ctx, only(options))
		},
	})
	if err != nil {
		return err
	}
	for {
		k.look(ctx)
		if !k.await(ctx, events) {
			return nil
		}
	}
}

// await returns when there is reason to look again, and false when ctx ends.
func (k *Keeper) await(ctx context.Context, events <-chan struct{}) bool {
	leaving := k.Leaving()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(writePause):
	}
	// Not everything sends an event.
	ticker := time.NewTicker(retryPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-events:
			return true
		case <-k.wake:
			return true
		case <-ticker.C:
			if k.Leaving() != leaving || k.Problem() != "" {
				return true
			}
		}
	}
}

// look compares and writes, and remembers what came of it.
func (k *Keeper) look(ctx context.Context) {
	problem := ""
	if err := k.sync(ctx); err != nil {
		if ctx.Err() != nil {
			return
		}
		if problem = err.Error(); problem != k.Problem() {
			k.Log.Error(err, "the webhook is not in place")
		}
	}
	k.problem.Store(&problem)
}

func (k *Keeper) sync(ctx context.Context) error {
	selection, known := k.Selection()
	trusted := k.Trusted()
	if !known || len(trusted) == 0 {
		return nil
	}
	if k.Leaving() {
		selection = Selection{}
	}
	want := k.Settings.Configuration(selection, trusted)
	live, err := k.Client.Get(ctx, ConfigurationName, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	switch {
	case err != nil && !missing:
		return fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", ConfigurationName, err)
	case len(want.Webhooks) == 0 && missing:
		return nil
	case len(want.Webhooks) == 0:
		return k.remove(ctx, live)
	}
	owner, err := k.Owner(ctx)
	if err != nil {
		return err
	}
	want.OwnerReferences = []metav1.OwnerReference{owner}
	if missing {
		_, err = k.Client.Create(ctx, want, metav1.CreateOptions{})
		return k.written(err, "created")
	}
	if upToDate(live, want) {
		return nil
	}
	live = live.DeepCopy()
	live.Webhooks, live.OwnerReferences = want.Webhooks, want.OwnerReferences
	if live.Labels == nil {
		live.Labels = map[string]string{}
	}
	maps.Copy(live.Labels, want.Labels)
	_, err = k.Client.Update(ctx, live, metav1.UpdateOptions{})
	return k.written(err, "updated")
}

// remove deletes the configuration that was seen.
func (k *Keeper) remove(ctx context.Context, live *admissionregistrationv1.ValidatingWebhookConfiguration) error {
	err := k.Client.Delete(ctx, ConfigurationName, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &live.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return k.written(err, "removed")
}

// written tells of a write. One that came too late is no failure: the event
// that it missed is on its way.
func (k *Keeper) written(err error, what string) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		k.Wake()
		return nil
	}
	if err != nil {
		return fmt.Errorf("write ValidatingWebhookConfiguration %s: %w", ConfigurationName, err)
	}
	k.Log.Info(what+" the webhook's configuration", "configuration", ConfigurationName)
	return nil
}

// upToDate reports whether a live configuration says what it should. What
// others add to its labels and annotations is theirs.
func upToDate(live, want *admissionregistrationv1.ValidatingWebhookConfiguration) bool {
	for key, value := range want.Labels {
		if live.Labels[key] != value {
			return false
		}
	}
	return equality.Semantic.DeepEqual(live.Webhooks, want.Webhooks) && equality.Semantic.DeepEqual(live.OwnerReferences, want.OwnerReferences)
}
