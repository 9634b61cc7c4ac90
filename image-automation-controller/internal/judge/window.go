// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // images without a system have no time zones of their own

	"github.com/robfig/cron/v3"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// windows say when Git may change.
type windows struct{ allow, deny []window }

// window is a span of time that comes back.
type window struct {
	// schedule is evaluated on the clock on the wall, as if that were UTC: so
	// each opening exists once, whatever daylight saving time does.
	schedule cron.Schedule
	zone     *time.Location
	length   time.Duration
	text     string
}

// maxWindow is how long a window may stay open.
const maxWindow = 744 * time.Hour

func compileWindows(field string, spec *imagev1.Windows) (windows, error) {
	if spec == nil {
		return windows{}, nil
	}
	var w windows
	for _, list := range []struct {
		name string
		spec []imagev1.Window
		to   *[]window
	}{{"allow", spec.Allow, &w.allow}, {"deny", spec.Deny, &w.deny}} {
		for i := range list.spec {
			one, err := compileWindow(fmt.Sprintf("%s.%s[%d]", field, list.name, i), &list.spec[i])
			if err != nil {
				return windows{}, err
			}
			*list.to = append(*list.to, one)
		}
	}
	return w, nil
}

func compileWindow(field string, spec *imagev1.Window) (window, error) {
	// The parser takes a zone before the fields too; there is a field for it.
	if strings.Contains(spec.Schedule, "=") || len(strings.Fields(spec.Schedule)) != 5 {
		return window{}, fmt.Errorf("%s.schedule: %q does not have the five fields of cron: minute, hour, day of month, month, day of week", field, spec.Schedule)
	}
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(spec.Schedule)
	if err != nil {
		return window{}, fmt.Errorf("%s.schedule: %w", field, err)
	}
	zone, err := time.LoadLocation(spec.TimeZone)
	if err != nil || spec.TimeZone == "Local" {
		return window{}, fmt.Errorf("%s.timeZone: %q is not in the IANA database of time zones; name one such as Europe/Berlin", field, spec.TimeZone)
	}
	if schedule.Next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return window{}, fmt.Errorf("%s.schedule: %q never opens", field, spec.Schedule)
	}
	length := spec.Duration.Duration
	if length <= 0 || length > maxWindow {
		return window{}, fmt.Errorf("%s.duration: %s is not between 1ms and %s", field, duration(length), duration(maxWindow))
	}
	text := fmt.Sprintf("%q for %s in %s", strings.Join(strings.Fields(spec.Schedule), " "), duration(length), zone)
	return window{schedule: schedule, zone: zone, length: length, text: text}, nil
}

// slack is more than clocks on the wall are set forward.
const slack = 2 * time.Hour

// next returns the first opening after t; zero if there is none for years.
func (w *window) next(t time.Time) time.Time {
	wall := onTheWall(t.In(w.zone))
	_, offset := t.In(w.zone).Zone()
	if _, before := t.Add(-slack).In(w.zone).Zone(); before != offset {
		// The clock was set lately: an opening that it skipped may be ahead.
		wall = wall.Add(-slack)
	}
	for {
		if wall = w.schedule.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if opens := w.opening(wall); opens.After(t) {
			return opens
		}
	}
}

// opening returns when the clock shows what it does on the wall: the first time
// if it does so twice, and if it never does, because it is set forward, as much
// later as it is set forward.
func (w *window) opening(wall time.Time) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, w.zone)
	if short := wall.Sub(onTheWall(at)); short > 0 {
		at = at.Add(short)
	}
	_, offset := at.Zone()
	if _, before := at.Add(-slack).Zone(); before > offset {
		if first := at.Add(time.Duration(offset-before) * time.Second); onTheWall(first).Equal(wall) {
			return first
		}
	}
	return at
}

// onTheWall returns what the clock of t's zone shows, as if it were UTC.
func onTheWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// state reports whether the window is open, and when that may change.
func (w *window) state(t time.Time) (open bool, until time.Time) {
	opens := w.next(t.Add(-w.length))
	if opens.IsZero() || opens.After(t) {
		return false, opens
	}
	return true, opens.Add(w.length)
}

// allowed reports whether Git may change at t, when that may change, and which
// window denies it.
func (w *windows) allowed(t time.Time) (ok bool, until time.Time, by *window) {
	ok = len(w.allow) == 0
	for i := range w.allow {
		open, change := w.allow[i].state(t)
		ok, until = ok || open, earliest(until, change)
	}
	for i := range w.deny {
		open, change := w.deny[i].state(t)
		until = earliest(until, change)
		if open && by == nil {
			ok, by = false, &w.deny[i]
		}
	}
	return ok, until, by
}

// maxSteps bounds how many openings and closings are looked at to say when Git
// may change again.
const maxSteps = 500

// again returns the first time after t at which Git may change, if one is found.
func (w *windows) again(t time.Time) (time.Time, bool) {
	for range maxSteps {
		ok, until, _ := w.allowed(t)
		if ok || until.IsZero() {
			return t, ok
		}
		t = until
	}
	return time.Time{}, false
}

// closed returns why Git may not change now, and when that may be different.
func (w *windows) closed(now time.Time) (*failure, time.Time) {
	ok, until, by := w.allowed(now)
	if ok {
		return nil, time.Time{}
	}
	message := "no allow window is open"
	switch {
	case by != nil:
		message = "the deny window " + by.text + " is open"
	case len(w.allow) == 1:
		message = "the allow window " + w.allow[0].text + " is not open"
	}
	if again, found := w.again(now); found {
		message, until = message+"; Git may change again at "+w.show(again), again
	}
	return &failure{reason: imagev1.OutsideWindowReason, message: message}, until
}

// show writes a time in the zone of the windows, if they have one in common.
func (w *windows) show(t time.Time) string {
	all := slices.Concat(w.allow, w.deny)
	for _, one := range all[1:] {
		if one.zone.String() != all[0].zone.String() {
			return stamp(t)
		}
	}
	return t.In(all[0].zone).Format(time.RFC3339)
}
