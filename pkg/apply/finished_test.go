// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"strings"
	"testing"
)

// TestAFinishedJobIsRememberedWhenItIsGone has nobody look between the end of a
// Job and that of its time to live.
func TestAFinishedJobIsRememberedWhenItIsGone(t *testing.T) {
	t.Parallel()
	const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: train, namespace: $NS}
spec:
  ttlSecondsAfterFinished: 0
  template: {spec: {restartPolicy: Never, containers: [{name: train, image: "registry.example/train:1"}]}}`
	r := newRig(t)
	desired := r.desired(job)
	r.mustApply(job)
	r.eventually("its time to live is over", func() bool { return r.live(jobGVR, "train") == nil })
	r.eventually("the watch has seen that it is gone", func() bool { return len(r.drifted()) == 1 })
	finished := r.engine.Finished(r.set)
	if len(finished) != 1 || finished[0].Digest != desired[0].Digest || !finished[0].Succeeded {
		t.Errorf("finished: %+v, want the Job", finished)
	}
	r.mustApply(strings.Replace(job, "train:1", "train:2", 1))
	if finished := r.engine.Finished(r.set); len(finished) != 0 && finished[0].Digest == desired[0].Digest {
		t.Errorf("finished: %+v after another Job took its place", finished)
	}
}
