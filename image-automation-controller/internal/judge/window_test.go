// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// parseWindows reads windows as "allow|deny; schedule; duration; zone".
func parseWindows(t *testing.T, texts []string) windows {
	t.Helper()
	spec := &imagev1.Windows{}
	for _, text := range texts {
		parts := strings.Split(text, "; ")
		length, err := time.ParseDuration(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		one := imagev1.Window{Schedule: parts[1], Duration: metav1.Duration{Duration: length}}
		if len(parts) > 3 {
			one.TimeZone = parts[3]
		}
		if parts[0] == "allow" {
			spec.Allow = append(spec.Allow, one)
		} else {
			spec.Deny = append(spec.Deny, one)
		}
	}
	w, err := compileWindows("windows", spec)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// moment is a row of the tables of windows.
type moment struct {
	windows []string
	now     string
	again   string // when Git may change again; empty if it may now
	message string // its beginning
}

func (m moment) check(t *testing.T) {
	now, err := time.Parse(time.RFC3339, m.now)
	if err != nil {
		t.Fatal(err)
	}
	w := parseWindows(t, m.windows)
	no, until := w.closed(now)
	switch {
	case m.again == "":
		if no != nil || !until.IsZero() {
			t.Errorf("closed: %+v until %s", no, until)
		}
		return
	case no == nil:
		t.Fatal("it is open")
	case m.again == "never":
		if until.IsZero() || !until.After(now) || strings.Contains(no.message, "again") {
			t.Errorf("closed until %s: %s", until, no.message)
		}
		return
	}
	if got := until.UTC().Format(time.RFC3339); got != m.again || !strings.HasPrefix(no.message, m.message) {
		t.Errorf("closed until %s, want %s; message %s", got, m.again, no.message)
	}
	// The message tells the same time until then.
	_, when, _ := strings.Cut(no.message, "; Git")
	later, _ := w.closed(until.Add(-time.Millisecond))
	if later == nil || when == "" || !strings.HasSuffix(later.message, when) {
		t.Errorf("message changes from %q to %+v", no.message, later)
	}
	if again, _ := w.closed(until); again != nil {
		t.Errorf("still closed then: %s", again.message)
	}
}

func TestWindows(t *testing.T) {
	for name, tc := range map[string]moment{
		"none":                 {now: "2026-11-22T12:00:00Z"},
		"allowed, first":       {windows: []string{"allow; 0 8 * * *; 1h"}, now: "2026-11-22T08:00:00Z"},
		"allowed, last":        {windows: []string{"allow; 0 8 * * *; 1h"}, now: "2026-11-22T08:59:59.9Z"},
		"allowed, over":        {windows: []string{"allow; 0 8 * * *; 1h"}, now: "2026-11-22T09:00:00Z", again: "2026-11-23T08:00:00Z", message: `the allow window "0 8 * * *" for 1h in UTC is not open; Git may`},
		"allowed, before":      {windows: []string{"allow; 0 8 * * *; 1h"}, now: "2026-11-22T07:59:59Z", again: "2026-11-22T08:00:00Z"},
		"over midnight":        {windows: []string{"allow; 0 23 * * SAT; 5h"}, now: "2026-11-22T03:00:00Z"},
		"one of two":           {windows: []string{"allow; 0 8 * * *; 1h", "allow; 0 12 * * *; 1h"}, now: "2026-11-22T12:30:00Z"},
		"none of two":          {windows: []string{"allow; 0 8 * * *; 1h", "allow; 0 12 * * *; 1h"}, now: "2026-11-22T09:30:00Z", again: "2026-11-22T12:00:00Z", message: "no allow window is open; Git may"},
		"denied":               {windows: []string{"deny; 0 18 * * FRI; 62h; Europe/Berlin"}, now: "2026-11-22T12:00:00Z", again: "2026-11-23T07:00:00Z", message: `the deny window "0 18 * * FRI" for 62h in Europe/Berlin is open; Git may change again at 2026-11-23T08:00:00+01:00`},
		"deny is over":         {windows: []string{"deny; 0 18 * * FRI; 62h; Europe/Berlin"}, now: "2026-11-23T07:00:00Z"},
		"deny wins":            {windows: []string{"allow; 0 8 * * *; 8h", "deny; 0 9 * * *; 1h"}, now: "2026-11-22T09:30:00Z", again: "2026-11-22T10:00:00Z", message: `the deny window "0 9 * * *" for 1h in UTC is open`},
		"deny until next day":  {windows: []string{"allow; 0 8 * * *; 2h", "deny; 0 9 * * *; 4h"}, now: "2026-11-22T09:30:00Z", again: "2026-11-23T08:00:00Z"},
		"denies in a row":      {windows: []string{"deny; 0 * * * 0; 1h"}, now: "2026-11-22T12:10:00Z", again: "2026-11-23T00:00:00Z"},
		"denies that overlap":  {windows: []string{"deny; 0 0 * * *; 30h"}, now: "2026-11-22T12:10:00Z", again: "never"},
		"longest":              {windows: []string{"deny; 0 0 1 * *; 744h"}, now: "2026-11-30T12:10:00Z", again: "never"},
		"longest, with a gap":  {windows: []string{"deny; 0 0 1 * *; 719h"}, now: "2026-11-30T12:10:00Z", again: "2026-11-30T23:00:00Z"},
		"every minute":         {windows: []string{"deny; * * * * *; 744h"}, now: "2026-11-22T12:10:00Z", again: "never"},
		"leap day":             {windows: []string{"allow; 0 0 29 2 *; 24h"}, now: "2026-11-22T12:10:00Z", again: "2028-02-29T00:00:00Z"},
		"day of month or week": {windows: []string{"allow; 0 0 13 * FRI; 24h"}, now: "2026-11-26T12:00:00Z", again: "2026-11-27T00:00:00Z"},
	} {
		t.Run(name, tc.check)
	}
}

func TestClocksThatAreSet(t *testing.T) {
	for name, tc := range map[string]moment{
		// Berlin goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
		"spring, skipped opening":      {windows: []string{"deny; 30 2 * * *; 1h; Europe/Berlin"}, now: "2026-03-29T01:30:00Z", again: "2026-03-29T02:30:00Z"},
		"spring, before it":            {windows: []string{"deny; 30 2 * * *; 1h; Europe/Berlin"}, now: "2026-03-29T01:10:00Z"},
		"spring, allow is ahead":       {windows: []string{"allow; 30 2 * * *; 1h; Europe/Berlin"}, now: "2026-03-29T01:10:00Z", again: "2026-03-29T01:30:00Z"},
		"spring, spans the change":     {windows: []string{"deny; 0 1 * * *; 3h; Europe/Berlin"}, now: "2026-03-29T02:30:00Z", again: "2026-03-29T03:00:00Z"},
		"spring, the day after":        {windows: []string{"allow; 0 8 * * *; 1h; Europe/Berlin"}, now: "2026-03-29T05:59:00Z", again: "2026-03-29T06:00:00Z"},
		"autumn, first time":           {windows: []string{"deny; 30 2 * * *; 30m; Europe/Berlin"}, now: "2026-10-25T00:30:00Z", again: "2026-10-25T01:00:00Z"},
		"autumn, not the second time":  {windows: []string{"deny; 30 2 * * *; 30m; Europe/Berlin"}, now: "2026-10-25T01:30:00Z"},
		"autumn, next is tomorrow":     {windows: []string{"allow; 30 2 * * *; 30m; Europe/Berlin"}, now: "2026-10-25T01:10:00Z", again: "2026-10-26T01:30:00Z"},
		"New York, first of two":       {windows: []string{"deny; 30 1 * * *; 30m; America/New_York"}, now: "2026-11-01T05:45:00Z", again: "2026-11-01T06:00:00Z"},
		"New York, not the second":     {windows: []string{"deny; 30 1 * * *; 30m; America/New_York"}, now: "2026-11-01T06:45:00Z"},
		"New York, skipped opening":    {windows: []string{"deny; 30 2 * * *; 1h; America/New_York"}, now: "2026-03-08T07:30:00Z", again: "2026-03-08T08:30:00Z"},
		"midnight that does not exist": {windows: []string{"deny; 0 0 * * *; 20h; Africa/Cairo"}, now: "2026-04-23T22:30:00Z", again: "2026-04-24T18:00:00Z"},
		"half an hour, Lord Howe":      {windows: []string{"deny; 15 2 * * *; 1h; Australia/Lord_Howe"}, now: "2026-10-03T15:50:00Z", again: "2026-10-03T16:45:00Z"},
		"zones differ, message in UTC": {windows: []string{"deny; 0 0 * * *; 2h; Asia/Tokyo", "deny; 0 0 * * *; 2h; UTC"}, now: "2026-11-22T15:30:00Z", again: "2026-11-22T17:00:00Z", message: `the deny window "0 0 * * *" for 2h in Asia/Tokyo is open; Git may change again at 2026-11-22T17:00:00Z`},
		"spaces in the schedule":       {windows: []string{"deny; 0  0 * *   *; 2h"}, now: "2026-11-22T01:30:00Z", again: "2026-11-22T02:00:00Z", message: `the deny window "0 0 * * *" for 2h in UTC is open`},
		"names of days and months":     {windows: []string{"allow; 0 0 * NOV SUN; 24h"}, now: "2026-11-22T01:30:00Z"},
		"steps and lists":              {windows: []string{"allow; */15 8-10,14 * * 1-5; 5m"}, now: "2026-11-23T14:46:00Z"},
		"steps and lists, in between":  {windows: []string{"allow; */15 8-10,14 * * 1-5; 5m"}, now: "2026-11-23T14:51:00Z", again: "2026-11-24T08:00:00Z"},
		"sub-minute windows have gaps": {windows: []string{"deny; * * * * *; 30s"}, now: "2026-11-23T14:51:29Z", again: "2026-11-23T14:51:30Z"},
		"a day ahead of UTC":           {windows: []string{"allow; 0 8 * * *; 1h; Pacific/Kiritimati"}, now: "2026-11-22T18:30:00Z"},
	} {
		t.Run(name, tc.check)
	}
}

func FuzzWindow(f *testing.F) {
	for _, seed := range []string{"0 8 * * MON-FRI", "*/15 1-2,5 1,15 FEB ?", "30 2 29 3 *", "TZ=0", "CRON_TZ=x 0 0 0 0", "@every 1h", "*/0 * * * *", "0 0 31 2 *", "1-0 * * * *", "99999999999999999999 * * * *"} {
		f.Add(seed, int64(1774746000), uint16(60))
	}
	f.Fuzz(func(t *testing.T, schedule string, at int64, minutes uint16) {
		if at < 0 || at > 4e9 {
			return
		}
		w, err := compileWindow("w", &imagev1.Window{Schedule: schedule, Duration: metav1.Duration{Duration: time.Duration(minutes) * time.Minute}, TimeZone: "Europe/Berlin"})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "w.") {
				t.Errorf("error %v", err)
			}
			return
		}
		now := time.Unix(at, 0)
		open, until := w.state(now)
		if until.IsZero() || !until.After(now) {
			t.Errorf("%q at %s: open %t until %s", schedule, now, open, until)
		}
		if opens := w.next(now); !opens.IsZero() {
			if is, _ := w.state(opens); !is {
				t.Errorf("%q: not open when it opens, at %s", schedule, opens)
			}
		}
	})
}
