// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package recount

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// requestTimeout is how long the API server works on a request at most, by
	// default. A pod may be stored that long after it was admitted.
	requestTimeout = time.Minute
	// grace is added to it before anybody asks whether a pod exists.
	grace = 30 * time.Second
	// strayAfter is when a reservation without a pod is taken for a stray: a
	// healthy API server has stored the pod long since.
	strayAfter = 10 * time.Second
)

// ages are when reservations were first seen, by the clock of this process,
// which no change of the wall clock moves.
type ages map[types.UID]time.Time

// see notes the reservations that are open and forgets the others.
func (a ages) see(open []ledger.Reservation, now time.Time) {
	there := make(map[types.UID]bool, len(open))
	for i := range open {
		there[open[i].Pod] = true
		// A clock that went back would keep it for as long as that.
		if since, known := a[open[i].Pod]; !known || since.After(now) {
			a[open[i].Pod] = now
		}
	}
	for pod := range a {
		if !there[pod] {
			delete(a, pod)
		}
	}
}

// old reports whether a reservation may be dropped, if no pod is found for it.
func (a ages) old(pod types.UID, now time.Time) bool {
	since, known := a[pod]
	return known && now.Sub(since) > requestTimeout+grace
}

// strays says for each quota what rejects its pods after they were admitted, if
// the reservations that wait for a pod in vain are more than a tenth of a limit
// on their path.
func (a ages) strays(r *ledger.Record, now time.Time) map[string]string {
	sums := map[string]gpu.Amounts{}
	example := map[string]string{}
	for i := range r.Reservations {
		res := &r.Reservations[i]
		since, known := a[res.Pod]
		if !known || now.Sub(since) < strayAfter {
			continue
		}
		for _, quota := range r.Path(res.Quota) {
			sums[quota] = sums[quota].Add(res.Amounts)
			if name := res.Namespace + "/" + res.Name; example[quota] == "" || name < example[quota] {
				example[quota] = name
			}
		}
	}
	told := map[string]string{}
	for quota, sum := range sums {
		for device, hard := range r.Quotas[quota].Hard {
			if !hard.IsZero() && sum[device].Times(10).Cmp(hard) > 0 {
				told[quota] = fmt.Sprintf("more than a tenth of the limit is reserved for pods that were admitted and then never stored, such as %s: another admission webhook, a policy or a ResourceQuota rejects them", example[quota])
			}
		}
	}
	return told
}
