// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import "time"

const (
	// paceRate and paceBurst bound the writes of one record: no second has more
	// than their sum, which is 20.
	paceRate  = 16
	paceBurst = 4
)

// pacer holds all writers of a record together to paceRate writes a second with
// bursts of paceBurst, though each process has its own and no clock is compared.
//
// A writer learns of the writes of others by the serial, at the latest when it
// writes itself, since compare-and-swap lets nobody write over a serial that it
// has not seen. It takes them off when it learns of them, which is later than
// they were and so never leaves it more than there is; and as all others keep to
// the pace as well, there is never less than nothing.
type pacer struct {
	left float64
	at   time.Time
}

// newPacer begins with a single write: others may just have had a burst.
func newPacer(now time.Time) pacer { return pacer{1, now} }

// observe takes off writes that were learned of.
func (p *pacer) observe(writes int64, now time.Time) {
	p.refill(now)
	p.left = max(0, p.left-float64(min(writes, paceBurst)))
}

// wait is how long it is until the next write may be made, 0 for now.
func (p *pacer) wait(now time.Time) time.Duration {
	p.refill(now)
	if p.left >= 1 {
		return 0
	}
	return time.Duration((1 - p.left) / paceRate * float64(time.Second))
}

func (p *pacer) refill(now time.Time) {
	if passed := now.Sub(p.at); passed > 0 {
		p.left = min(paceBurst, p.left+passed.Seconds()*paceRate)
		p.at = now
	}
}
