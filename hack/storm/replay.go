// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Breach is a resource version at which a quota held more than its limit.
type Breach struct {
	Quota, ResourceVersion string
	Held, Hard             int64
}

func (b Breach) String() string {
	return fmt.Sprintf("GPUQuota %q held %d of %d at resource version %s", b.Quota, b.Held, b.Hard, b.ResourceVersion)
}

// replay follows the pods of the storm in the order in which the API server
// stored them, and sums what each quota holds after each change.
type replay struct {
	held     map[string]int64
	pods     map[types.UID]int64
	breaches []Breach
	events   int
}

func newReplay() *replay {
	return &replay{held: map[string]int64{}, pods: map[types.UID]int64{}}
}

// follow reads events until there is none for a while after done is closed.
func (r *replay) follow(ctx context.Context, client kubernetes.Interface, since string, done <-chan struct{}) error {
	for {
		watcher, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{ResourceVersion: since})
		if err != nil {
			return fmt.Errorf("watch the pods from resource version %s: %w", since, err)
		}
		ended, err := r.read(watcher, &since, done)
		watcher.Stop()
		if err != nil || ended {
			return err
		}
	}
}

// silence is how long no event may come for the last one to have been it.
const silence = 2 * time.Second

func (r *replay) read(watcher watch.Interface, since *string, done <-chan struct{}) (ended bool, err error) {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return false, nil // the API server ends a watch now and then
			}
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				return false, fmt.Errorf("the watch of the pods failed after resource version %s: %v", *since, event.Object)
			}
			*since = pod.ResourceVersion
			r.note(event.Type, pod)
			quiet.Reset(silence)
		case <-quiet.C:
			select {
			case <-done:
				return true, nil
			default:
				quiet.Reset(silence)
			}
		}
	}
}

// note adds one change of a pod.
func (r *replay) note(change watch.EventType, pod *corev1.Pod) {
	team := pod.Namespace
	if !strings.HasPrefix(team, "storm-") {
		return
	}
	r.events++
	root := team[:strings.LastIndex(team, "-")]
	holds := int64(0)
	if change != watch.Deleted && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
		holds = pod.Spec.Containers[0].Resources.Limits.Name(GPU, "").Value()
	}
	delta := holds - r.pods[pod.UID]
	r.pods[pod.UID] = holds
	for quota, hard := range map[string]int64{team: teamHard, root: rootHard} {
		r.held[quota] += delta
		if delta > 0 && r.held[quota] > hard {
			r.breaches = append(r.breaches, Breach{Quota: quota, ResourceVersion: pod.ResourceVersion, Held: r.held[quota], Hard: hard})
		}
	}
}
