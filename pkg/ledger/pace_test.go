// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPacers has processes with clocks of their own write one record as fast as
// they may. They learn of each other's writes only when their own fail.
func TestPacers(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		begin := time.Unix(0, 0)
		type writer struct {
			pacer
			seen  int64
			ahead time.Duration
			next  time.Duration
		}
		writers := make([]*writer, 1+random.IntN(4))
		for i := range writers {
			ahead := time.Duration(random.Int64N(int64(time.Hour)))
			writers[i] = &writer{pacer: newPacer(begin.Add(ahead)), ahead: ahead}
		}
		var serial int64
		var written []time.Duration
		for now := time.Duration(0); now < 20*time.Second; now += time.Millisecond {
			idle := now > 5*time.Second && now < 7*time.Second
			for _, w := range writers {
				at := begin.Add(now + w.ahead)
				if idle || now < w.next || w.wait(at) > 0 {
					continue
				}
				w.next = now + time.Duration(random.Int64N(int64(5*time.Millisecond)))
				if w.seen == serial {
					serial++
					written = append(written, now)
				}
				w.observe(serial-w.seen, at)
				w.seen = serial
			}
		}
		for i := range written {
			if i >= 20 && written[i]-written[i-20] <= time.Second {
				t.Fatalf("seed %d, %d writers: 21 writes from %v to %v", seed, len(writers), written[i-20], written[i])
			}
		}
		if len(written) < 12*18 {
			t.Errorf("seed %d, %d writers: only %d writes in 18 s", seed, len(writers), len(written))
		}
	}
}

func TestPacer(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPacer(now)
	if p.wait(now) != 0 {
		t.Error("the first write waits")
	}
	p.observe(1, now)
	if got := p.wait(now); got < 60*time.Millisecond || got > 70*time.Millisecond {
		t.Errorf("the second one waits %v", got)
	}
	now = now.Add(time.Hour)
	for range paceBurst {
		if p.wait(now) != 0 {
			t.Error("a burst waits")
		}
		p.observe(1, now)
	}
	if p.wait(now) == 0 {
		t.Error("a burst has no end")
	}
	p.observe(1000, now) // an age without looking
	if got := p.wait(now); got > time.Second/paceRate+time.Millisecond {
		t.Errorf("it waits %v for what others wrote long ago", got)
	}
	now = now.Add(-time.Minute)
	if got := p.wait(now); got > time.Second/paceRate+time.Millisecond {
		t.Errorf("it waits %v for a clock that was set back", got)
	}
}
