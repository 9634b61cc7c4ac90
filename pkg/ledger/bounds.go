// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// bars returns the bounds of perWorkload that a pod breaks, whatever is free.
func (q Quota) bars(quota string, c Claim) []Over {
	if q.PerWorkload == nil {
		return nil
	}
	total := c.Total
	if total.IsZero() {
		total = c.Amounts.Total()
	}
	barred := q.barsDevices(quota, c.Amounts)
	if most, bounded := bound(q.PerWorkload.MaxPerPod); bounded && most.Cmp(total) < 0 {
		barred = append(barred, Over{
			Quota: quota, Device: strings.Join(slices.Sorted(maps.Keys(c.Amounts)), ","), Requested: total, Hard: most,
			Rule: fmt.Sprintf("a pod asks for %s GPUs, perWorkload.maxPerPod is %s", total, most),
		})
	}
	return barred
}

// barsDevices returns the classes that may not be asked for.
func (q Quota) barsDevices(quota string, amounts gpu.Amounts) []Over {
	if q.PerWorkload == nil || len(q.PerWorkload.AllowedDevices) == 0 {
		return nil
	}
	var barred []Over
	for device, amount := range amounts {
		if !amount.IsZero() && !slices.Contains(q.PerWorkload.AllowedDevices, device) {
			barred = append(barred, Over{
				Quota: quota, Device: device, Requested: amount,
				Rule: fmt.Sprintf("it asks for %s, or could land on one: perWorkload.allowedDevices has %s only",
					device, strings.Join(slices.Sorted(slices.Values(q.PerWorkload.AllowedDevices)), ", ")),
			})
		}
	}
	return barred
}

// bound reads a bound of perWorkload. The schema of the API checks its form; one
// that is wrong all the same allows nothing, so that it is noticed.
func bound(text string) (most gpu.Amount, bounded bool) {
	if text == "" {
		return gpu.Amount{}, false
	}
	most, err := gpu.ParseAmount(text)
	if err != nil {
		return gpu.Amount{}, true
	}
	return most, true
}

// warning is what is said about a limit that is not enforced.
func (o Over) warning() string {
	text := o.String()
	if o.Rule != "" {
		text = o.never()
	}
	return text + " (not enforced: Warn)"
}

// countable reports whether amounts can be written into a record and read again.
func countable(amounts gpu.Amounts) bool {
	for _, amount := range amounts {
		if _, err := gpu.ParseAmount(amount.String()); err != nil {
			return false
		}
	}
	return true
}

// bounded is amounts in a form that can be written into a record: what has more
// digits than are read is rounded up, and beyond all bounds it is the largest
// whole number, so that no pod, whatever it asks for, keeps others from being counted.
func bounded(amounts gpu.Amounts) gpu.Amounts {
	if countable(amounts) {
		return amounts.Add(nil)
	}
	result := make(gpu.Amounts, len(amounts))
	for name, amount := range amounts {
		if !countable(gpu.Amounts{name: amount}) {
			whole := int64(math.MaxInt64)
			if up := math.Ceil(math.Nextafter(amount.Float(), math.Inf(1))); up < math.MaxInt64 {
				whole = int64(up)
			}
			amount = gpu.Whole(whole)
		}
		result[name] = amount
	}
	return result
}

// size is how many bytes the record takes, or will when counts have found pods
// of all that was granted: a count has to fit, or nothing would ever end.
func (r *Record) size() int {
	size := sizeOf(wire{format, r})
	for i := range r.Grants {
		size += r.Grants[i].growth()
	}
	return size
}

// growth is how many bytes what is held of a grant may come to take, beyond what
// it takes now.
func (g *Grant) growth() int {
	bytes := 0
	for i := range g.Objects {
		o := &g.Objects[i]
		if len(o.Held) >= len(o.Envelope) {
			continue
		}
		bytes += len(`,"held":{}`)
		for device, amount := range o.Envelope {
			bytes += len(`,"":""`) + len(device) + len(amount.String())
		}
	}
	return bytes
}

func sizeOf(part any) int {
	data, _ := json.Marshal(part) // what cannot be written is found when the whole is
	return len(data) + len(",")
}
