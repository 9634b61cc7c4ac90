// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at is a time some seconds after the beginning.
func at(seconds int) time.Time { return time.Unix(1_800_000_000+int64(seconds), 0) }

var (
	always  = Ref{"ConfigMap", "n", "always"}
	visitor = Ref{"ConfigMap", "n", "visitor"}
	server  = Ref{"Deployment", "n", "server"}
	job     = Ref{"Job", "n", "train"}
)

// commits say for 10 s each: 1 has all but the visitor, 2 all, 3 all but the
// visitor and the Job.
func commits() []Commit {
	return []Commit{
		{1, at(0), State{always: "1", server: "1", job: "j"}},
		{2, at(10), State{always: "2", server: "2", job: "j", visitor: "2"}},
		{3, at(20), State{always: "3", server: "3"}},
	}
}

func live(content string, refs ...Ref) map[Ref]Object {
	m := map[Ref]Object{}
	for _, ref := range refs {
		m[ref] = Object{"uid", content}
	}
	return m
}

// beginning is what is there when the evidence begins.
func beginning(more ...Sighting) []Sighting {
	return append([]Sighting{
		{At: at(5), Ref: always, UID: "a", Number: 1},
		{At: at(5), Ref: server, UID: "s", Number: 1},
		{At: at(5), Ref: job, UID: "j"},
	}, more...)
}

// A stretch is evidence with what has to be found in it. It is at the last commit
// unless it says otherwise.
type stretch struct {
	commits   []Commit
	sightings []Sighting
	live      map[Ref]Object
	want      []string
}

// stretches are of how the cluster is at the end, and of what happened before.
func stretches() map[string]stretch {
	right := live("3", always, server)
	return map[string]stretch{
		"all as in Git": {
			sightings: beginning(
				Sighting{At: at(11), Ref: always, UID: "a", Number: 2},
				Sighting{At: at(11), Ref: visitor, UID: "v", Number: 2},
				Sighting{At: at(21), Ref: always, UID: "a", Number: 3},
				Sighting{At: at(21), Ref: visitor, UID: "v", Number: 2, Gone: true},
				Sighting{At: at(21), Ref: job, UID: "j", Gone: true},
			),
			live: right,
		},
		"a commit may be passed over": {
			sightings: beginning(Sighting{At: at(21), Ref: job, UID: "j", Gone: true}),
			live:      right,
		},
		"missing, different and too much": {
			commits: commits()[:2],
			live:    map[Ref]Object{always: {"a", "1"}, server: {"s", "2"}, visitor: {"v", "2"}, {"ConfigMap", "n", "stray"}: {}},
			want: []string{
				"ConfigMap n/always is not as in Git", "Job n/train is missing", "ConfigMap n/stray is in the cluster and not in Git",
			},
		},
		"a Job that is done may be missing": {
			commits:   commits()[:1],
			sightings: beginning(Sighting{At: at(6), Ref: job, UID: "j", Done: true}, Sighting{At: at(7), Ref: job, UID: "j", Gone: true}),
			live:      live("1", always, server),
		},
		"a Job that is done comes back": {
			commits: commits()[:1],
			sightings: beginning(
				Sighting{At: at(6), Ref: job, UID: "j", Done: true}, Sighting{At: at(7), Ref: job, UID: "j", Gone: true},
				Sighting{At: at(8), Ref: job, UID: "j2"},
			),
			live: live("1", always, server),
			want: []string{"Job n/train was created 2 times"},
		},
	}
}

func events() map[string]stretch {
	right := live("3", always, server)
	return map[string]stretch{
		"deleted before a commit says so": {
			sightings: beginning(Sighting{At: at(15), Ref: job, UID: "j", Gone: true}),
			live:      right,
			want:      []string{"Job n/train was deleted, and no commit asked for that"},
		},
		"created when a later commit is applied": {
			sightings: beginning(
				Sighting{At: at(21), Ref: always, UID: "a", Number: 3},
				Sighting{At: at(29), Ref: visitor, UID: "v", Number: 2},
			),
			live: right,
			want: []string{"ConfigMap n/visitor was created, and no commit asked for it"},
		},
		"another watch may be a little later": {
			sightings: beginning(
				Sighting{At: at(21), Ref: always, UID: "a", Number: 3},
				Sighting{At: at(22), Ref: visitor, UID: "v", Number: 2},
			),
			live: right,
		},
		"a workload that was replaced unseen": {
			sightings: beginning(Sighting{At: at(12), Ref: server, UID: "s2", Number: 2}),
			live:      right,
			want: []string{
				"Deployment n/server was deleted, and no commit asked for that",
			},
		},
		"an object that goes back": {
			sightings: beginning(
				Sighting{At: at(12), Ref: always, UID: "a", Number: 2}, Sighting{At: at(13), Ref: always, UID: "a", Number: 1},
			),
			live: right,
			want: []string{"ConfigMap n/always went back from commit 2 to 1"},
		},
		"news of a deletion that comes late": {
			sightings: beginning(
				Sighting{At: at(12), Ref: visitor, UID: "v1", Number: 2}, Sighting{At: at(13), Ref: visitor, UID: "v0", Gone: true},
			),
			live: right,
		},
	}
}

func TestLosses(t *testing.T) {
	t.Parallel()
	cases := stretches()
	maps.Copy(cases, events())
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.commits == nil {
				tc.commits = commits()
			}
			got := Losses(Evidence{Commits: tc.commits, Sightings: tc.sightings, Live: tc.live})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("losses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAutomation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		releases []int
		last     int
		want     []string
	}{
		"each once":     {[]int{1, 2, 3}, 3, nil},
		"passed over":   {[]int{1, 3}, 3, nil},
		"nothing":       {nil, 0, nil},
		"twice":         {[]int{1, 2, 2}, 2, []string{"release 2 was committed twice"}},
		"back":          {[]int{1, 3, 2}, 3, []string{"release 2 was committed after 3"}},
		"the last lost": {[]int{1, 2}, 3, []string{"release 3 was published, and the last that was committed is 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, Automation(tc.releases, tc.last)); diff != "" {
				t.Errorf("losses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	if got := Quota([]int{0, 3, 4, 2}, 4); got != nil {
		t.Errorf("within the limit: %v", got)
	}
	want := []string{"5 GPUs were admitted, and the quota is 4"}
	if diff := cmp.Diff(want, Quota([]int{4, 5, 0}, 4)); diff != "" {
		t.Errorf("beyond the limit (-want +got):\n%s", diff)
	}
}

func TestTrend(t *testing.T) {
	t.Parallel()
	line := func(from, each float64) []Sample {
		samples := make([]Sample, 11)
		for i := range samples {
			samples[i] = Sample{float64(i), from + each*float64(i)}
		}
		return samples
	}
	for name, tc := range map[string]struct {
		samples      []Sample
		from         float64
		part, amount float64
		want         Trend
		flat         bool
	}{
		"level":              {line(100, 0), 0, 0.1, 0, Trend{100, 0, 11}, true},
		"within the part":    {line(95, 1), 0, 0.1, 0, Trend{100, 10, 11}, true},
		"beyond the part":    {line(95, 1), 0, 0.05, 0, Trend{100, 10, 11}, false},
		"within the amount":  {line(0, 0.5), 0, 0.1, 5, Trend{2.5, 5, 11}, true},
		"falling":            {line(100, -5), 0, 0.1, 0, Trend{75, -50, 11}, true},
		"warm-up is not met": {append([]Sample{{0, 1000}}, Sample{5, 10}, Sample{10, 10}), 5, 0, 0, Trend{10, 0, 2}, true},
		"no sample":          {nil, 0, 0, 0, Trend{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Fit(tc.samples, tc.from)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("trend (-want +got):\n%s", diff)
			}
			if flat := got.Flat(tc.part, tc.amount); flat != tc.flat {
				t.Errorf("flat is %t, want %t", flat, tc.flat)
			}
		})
	}
}
