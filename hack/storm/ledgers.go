// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gitops/weir/hack/platform"
)

// ledgerLabel marks the ledgers of the trees.
const ledgerLabel = "quota.weir.dev/ledger"

// ledgers is what was seen of the ledgers during a storm.
type ledgers struct {
	// largest record, in bytes.
	largest int
	// writes of each ledger, when they were seen.
	writes map[string][]time.Time
}

// observe follows the ledgers until ctx ends.
func (l *ledgers) observe(ctx context.Context, client kubernetes.Interface) error {
	l.writes = map[string][]time.Time{}
	for ctx.Err() == nil {
		watcher, err := client.CoreV1().ConfigMaps(platform.Namespace).Watch(ctx, metav1.ListOptions{LabelSelector: ledgerLabel})
		if err == nil {
			l.read(watcher)
		} else if ctx.Err() == nil {
			return fmt.Errorf("watch the ledgers: %w", err)
		}
	}
	return nil
}

// read notes what a watch tells until it ends.
func (l *ledgers) read(watcher watch.Interface) {
	for event := range watcher.ResultChan() {
		if config, ok := event.Object.(*corev1.ConfigMap); ok {
			l.note(config)
		}
	}
}

func (l *ledgers) note(config *corev1.ConfigMap) {
	size := 0
	for key, value := range config.Data {
		size += len(key) + len(value)
	}
	l.largest = max(l.largest, size)
	l.writes[config.Name] = append(l.writes[config.Name], time.Now())
}

// window is what writes are averaged over: they are seen when the watch brings
// them, which a busy machine does in bunches.
const window = 5 * time.Second

// busiest is the most writes a second of one ledger, over any window.
func (l *ledgers) busiest() float64 {
	most := 0
	for _, times := range l.writes {
		first := 0
		for i, t := range times {
			for t.Sub(times[first]) > window {
				first++
			}
			most = max(most, i-first+1)
		}
	}
	return float64(most) / window.Seconds()
}

// reservations counts what is open in all ledgers, and those that admit
// nothing.
func reservations(ctx context.Context, client kubernetes.Interface) (open, closed int, err error) {
	list, err := client.CoreV1().ConfigMaps(platform.Namespace).List(ctx, metav1.ListOptions{LabelSelector: ledgerLabel})
	if err != nil {
		return 0, 0, fmt.Errorf("list the ledgers: %w", err)
	}
	for i := range list.Items {
		if !strings.HasPrefix(list.Items[i].Labels[ledgerLabel], "storm-") {
			continue
		}
		var record struct {
			Closed       string            `json:"closed"`
			Reservations []json.RawMessage `json:"reservations"`
		}
		if err := json.Unmarshal([]byte(list.Items[i].Data["record"]), &record); err != nil {
			return 0, 0, fmt.Errorf("read the ledger %s: %w", list.Items[i].Name, err)
		}
		open += len(record.Reservations)
		if record.Closed != "" {
			closed++
		}
	}
	return open, closed, nil
}
