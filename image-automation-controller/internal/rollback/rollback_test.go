// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rollback

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The automations of the tests.
const (
	self    = "apps/models (uid-1)"
	sibling = "apps/models (uid-2)" // of the same name, on another cluster
	other   = "apps/other (uid-3)"
	person  = ""
)

// parseValue reads tag, tag@digest or @digest; "-" is a field that is not there.
func parseValue(text string) Value {
	if text == "-" {
		return Value{}
	}
	tag, digest, _ := strings.Cut(text, "@")
	return Value{Tag: tag, Digest: digest}
}

// steps reads "writer: before > after", the oldest first, and returns the
// newest first. The commit of each is its number.
func steps(texts ...string) []Step {
	writers := map[string]string{"self": self, "sibling": sibling, "other": other, "person": person}
	var all []Step
	for i, text := range texts {
		who, change, _ := strings.Cut(text, ": ")
		before, after, _ := strings.Cut(change, " > ")
		all = append(all, Step{Commit: strconv.Itoa(i + 1), Author: who, Writer: writers[who], Before: parseValue(before), After: parseValue(after)})
	}
	slices.Reverse(all)
	return all
}

// numbered orders tags that are numbers, as policies do: not what is no number,
// nor what has no tag.
func numbered(a, b Value) (above, known bool) {
	first, err := strconv.Atoi(a.Tag)
	if err != nil {
		return false, false
	}
	second, err := strconv.Atoi(b.Tag)
	return err == nil && first > second, err == nil
}

// show writes a finding as "tag@digest by commit", and a conflict after "!".
func show(f Finding) []string {
	var texts []string
	for _, r := range f.Rejected {
		texts = append(texts, strings.TrimSuffix(r.Tag+"@"+r.Digest, "@")+" by "+r.Commit)
	}
	if f.Conflict != nil {
		texts = append(texts, "! "+f.Conflict.Theirs+" takes "+strings.TrimSuffix(f.Conflict.Value.Tag+"@"+f.Conflict.Value.Digest, "@")+" back by "+f.Conflict.Commit)
	}
	return texts
}

// history is a row of the tables of Judge.
type history struct {
	steps   []Step
	cleared string
	want    []string
}

func (h history) check(t *testing.T) {
	cleared := func(v Value) bool { return h.cleared != "" && v.Same(parseValue(h.cleared)) }
	got := Judge(self, h.steps, numbered, cleared)
	if diff := cmp.Diff(h.want, show(got)); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

func TestRollbackStaysBack(t *testing.T) {
	for name, tc := range map[string]history{
		"no history":       {},
		"our own updates":  {steps: steps("self: 1 > 2", "self: 2 > 3")},
		"first appearance": {steps: steps("person: - > 1", "self: 1 > 2")},

		// Rollback stays back.
		"plain revert":                    {steps: steps("self: 1@a > 2@b", "person: 2@b > 1@a"), want: []string{"2@b by 2"}},
		"revert of two at once":           {steps: steps("self: 1 > 2", "self: 2 > 3", "person: 3 > 1"), want: []string{"3 by 3"}},
		"reverts one after another":       {steps: steps("self: 1 > 2", "self: 2 > 3", "person: 3 > 2", "person: 2 > 1"), want: []string{"2 by 4", "3 by 3"}},
		"revert of a person's change":     {steps: steps("person: 1 > 2", "person: 2 > 1"), want: []string{"2 by 2"}},
		"revert of a revert":              {steps: steps("self: 1 > 2", "person: 2 > 1", "person: 1 > 2")},
		"revert of a revert of a revert":  {steps: steps("self: 1 > 2", "person: 2 > 1", "person: 1 > 2", "person: 2 > 1"), want: []string{"2 by 4"}},
		"merge of a revert":               {steps: steps("self: 1 > 2", "person: 2 > 1", "self: 1 > 3"), want: []string{"2 by 2"}},
		"squash merge of our proposal":    {steps: steps("self: 1 > 2", "person: 2 > 3")},
		"ours after a revert":             {steps: steps("self: 1 > 2", "person: 2 > 1", "self: 1 > 3", "self: 3 > 4"), want: []string{"2 by 2"}},
		"pinned to an older one":          {steps: steps("self: 1 > 5", "person: 5 > 3"), want: []string{"5 by 2"}},
		"pinned to one that is not known": {steps: steps("self: 1 > 5", "person: 5 > hotfix"), want: []string{"5 by 2"}},
		"moved on by hand":                {steps: steps("self: 1 > 5", "person: 5 > 6")},
		"moved on after a revert":         {steps: steps("self: 1 > 5", "person: 5 > 4", "person: 4 > 7"), want: []string{"5 by 2"}},
		"field taken away":                {steps: steps("self: 1 > 2", "person: 2 > -"), want: []string{"2 by 2"}},
		"field taken away and put back":   {steps: steps("self: 1 > 2", "person: 2 > -", "person: - > 2")},
		"field taken away, older put back": {steps: steps("self: 1 > 2", "person: 2 > -", "person: - > 1"),
			want: []string{"2 by 2"}},

		// What was done to our own commits.
		"forced off the branch":        {steps: steps("self: 1 > 2")},
		"forced off, others remain":    {steps: steps("person: 1 > 2", "self: 2 > 3")},
		"history ends with the revert": {steps: steps("person: 2 > 1"), want: []string{"2 by 1"}},
		"revert is beyond the history": {steps: steps("self: 1 > 3")},

		// What clears.
		"cleared by annotation":                     {steps: steps("self: 1 > 2", "person: 2 > 1"), cleared: "2"},
		"another is cleared":                        {steps: steps("self: 1 > 2", "person: 2 > 1"), cleared: "1", want: []string{"2 by 2"}},
		"written again after it was cleared":        {steps: steps("self: 1 > 2", "person: 2 > 1", "self: 1 > 2")},
		"committed again":                           {steps: steps("self: 1@a > 2@b", "person: 2@b > 1@a", "person: 1@a > 2@b", "self: 2@b > 3@c")},
		"committed again by its tag":                {steps: steps("self: 1@a > 2@b", "person: 2@b > 1@a", "person: 1@a > 2")},
		"committed again with another digest":       {steps: steps("self: 1@a > 2@b", "person: 2@b > 1@a", "person: 1@a > 2@c"), want: []string{"2@b by 2"}},
		"committed again by another automation":     {steps: steps("self: 1 > 2", "person: 2 > 1", "other: 1 > 2")},
		"committed again and taken out once more":   {steps: steps("self: 1 > 2", "person: 2 > 1", "person: 1 > 2", "self: 2 > 3", "person: 3 > 2"), want: []string{"3 by 5"}},
		"rejected once, cleared, written, reverted": {steps: steps("self: 1 > 2", "person: 2 > 1", "self: 1 > 2", "person: 2 > 1"), want: []string{"2 by 4"}},
	} {
		t.Run(name, tc.check)
	}
}

func TestValuesAndWriters(t *testing.T) {
	for name, tc := range map[string]history{
		// What fields hold.
		"digest of one tag":            {steps: steps("self: 1@a > 1@b", "person: 1@b > 1@a"), want: []string{"1@b by 2"}},
		"digests alone":                {steps: steps("self: @a > @b", "person: @b > @a"), want: []string{"@b by 2"}},
		"digests alone, moved on":      {steps: steps("self: @a > @b", "person: @b > @c"), want: []string{"@b by 2"}},
		"digests alone, back again":    {steps: steps("self: @a > @b", "person: @b > @a", "person: @a > @b"), want: []string{"@a by 3"}},
		"digest taken from a tag":      {steps: steps("self: 1@a > 2@b", "person: 2@b > 2")},
		"digest put to a tag":          {steps: steps("self: 1 > 2", "person: 2 > 2@b")},
		"another tag of the digest":    {steps: steps("self: 1@a > 2@b", "person: 2@b > stable@b")},
		"tags that are not ordered":    {steps: steps("self: blue > green", "person: green > blue"), want: []string{"green by 2"}},
		"nothing that can be compared": {steps: steps("self: 1 > 2", "person: 2 > @b"), want: []string{"2 by 2"}},

		// Two writers.
		"two automations":              {steps: steps("self: 1 > 2", "other: 2 > 1"), want: []string{"2 by 2", "! " + other + " takes 2 back by 2"}},
		"two clusters":                 {steps: steps("self: 1 > 2", "sibling: 2 > 1"), want: []string{"2 by 2", "! " + sibling + " takes 2 back by 2"}},
		"two automations, by digest":   {steps: steps("self: @a > @b", "other: @b > @a"), want: []string{"@b by 2", "! " + other + " takes @b back by 2"}},
		"other goes below":             {steps: steps("self: 3 > 4", "other: 4 > 2"), want: []string{"4 by 2", "! " + other + " takes 4 back by 2"}},
		"other goes on":                {steps: steps("self: 1 > 2", "other: 2 > 3")},
		"other goes on, digests alone": {steps: steps("self: @a > @b", "other: @b > @c"), want: []string{"@b by 2"}},
		"other follows the tag":        {steps: steps("self: 1@a > 2@b", "other: 2@b > 2@c"), want: []string{"2@b by 2"}},
		"other undoes a person":        {steps: steps("person: 1 > 2", "other: 2 > 1"), want: []string{"2 by 2"}},
		"other undoes what we confirmed": {steps: steps("self: 1 > 2", "person: 2 > 1", "person: 1 > 2", "other: 2 > 1"),
			want: []string{"2 by 4"}},
		"we are the one who goes back":    {steps: steps("other: 1 > 2", "self: 2 > 1")},
		"conflict, settled by a person":   {steps: steps("self: 1 > 2", "other: 2 > 1", "person: 1 > 2")},
		"conflict, settled by an older":   {steps: steps("self: 1 > 3", "other: 3 > 1", "person: 1 > 2"), want: []string{"3 by 2"}},
		"conflict, settled by the other":  {steps: steps("self: 1 > 2", "other: 2 > 1", "other: 1 > 3"), want: []string{"2 by 2"}},
		"conflict, settled by annotation": {steps: steps("self: 1 > 2", "other: 2 > 1"), cleared: "2"},
		"conflict, twice":                 {steps: steps("self: 1 > 2", "other: 2 > 1", "self: 1 > 3", "other: 3 > 1"), want: []string{"3 by 4", "2 by 2", "! " + other + " takes 3 back by 4"}},
	} {
		t.Run(name, tc.check)
	}
}

func TestJudgeNamesWho(t *testing.T) {
	got := Judge(self, steps("self: 1 > 2", "person: 2 > 1"), numbered, func(Value) bool { return false })
	want := Finding{Rejected: []Rejected{{Value: Value{Tag: "2"}, Commit: "2", Author: "person"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	got = Judge(self, steps("self: 1 > 2", "other: 2 > 1"), numbered, func(Value) bool { return false })
	if diff := cmp.Diff(&Conflict{Ours: self, Theirs: other, Value: Value{Tag: "2"}, Commit: "2"}, got.Conflict); diff != "" {
		t.Errorf("conflict (-want +got):\n%s", diff)
	}
}

func TestRejects(t *testing.T) {
	found := Finding{Rejected: []Rejected{{Value: parseValue("5@e"), Commit: "1"}, {Value: parseValue("@x"), Commit: "2"}, {Value: parseValue("hotfix"), Commit: "3"}}}
	for value, want := range map[string]string{
		"5@e": "1", "5": "1", "7@e": "1", "@x": "2", "9@x": "2", "hotfix": "3",
		"4@d": "1", // ranks below
		"6@f": "", "5@f": "", "@y": "", "other": "",
	} {
		got, out := found.Rejects(parseValue(value), numbered)
		if got.Commit != want || out != (want != "") {
			t.Errorf("%s is kept out: %t, by %q; want %q", value, out, got.Commit, want)
		}
	}
}

func TestJoin(t *testing.T) {
	none := func(Value) bool { return false }
	tags := Judge(self, steps("self: 1 > 2", "person: 2 > 1"), numbered, none)
	images := Judge(self, steps("self: 1@a > 2@b", "self: 2@b > 3@c", "other: 3@c > 2@b"), numbered, none)
	digests := Judge(self, steps("self: @c > @d", "person: @d > @c"), numbered, none)
	got := show(Join(tags, images, digests, Finding{}))
	want := []string{"2 by 2", "3@c by 3", "@d by 2", "! " + other + " takes 3@c back by 3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

func TestWriter(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for name, tc := range map[string]struct {
		images []string
		after  Value
		want   string
	}{
		"ours":                  {[]string{"ghcr.io/a/b:1@" + digest}, Value{"1", digest}, self},
		"second of two":         {[]string{"ghcr.io/x/y:7", "ghcr.io:5000/a/b:1"}, Value{Tag: "1"}, self},
		"tag field":             {[]string{"ghcr.io/a/b:1@" + digest}, Value{Tag: "1"}, self},
		"digest field":          {[]string{"ghcr.io/a/b:1@" + digest}, Value{Digest: digest}, self},
		"revert that quotes us": {[]string{"ghcr.io/a/b:2@" + digest}, Value{Tag: "1"}, person},
		"cut":                   {[]string{"ghcr.io/a/b:1@sha256:aaaa…"}, Value{Digest: digest}, person},
		"field taken away":      {[]string{"ghcr.io/a/b:1@" + digest}, Value{}, person},
		"no images":             {nil, Value{Tag: "1"}, person},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Writer(self, tc.images, tc.after); got != tc.want {
				t.Errorf("written by %q, want %q", got, tc.want)
			}
		})
	}
}

// FuzzJudge holds any history to what must be so whatever happened: what Git
// holds is not rejected, nothing of ours is a rejection, what somebody cleared
// is not rejected, and less history never rejects more of what was beyond.
func FuzzJudge(f *testing.F) {
	f.Add(uint64(1), uint8(5))
	f.Add(uint64(42), uint8(30))
	writers := []string{self, sibling, other, person, person}
	f.Fuzz(func(t *testing.T, seed uint64, count uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		var all []Step
		held := Value{Tag: "0"}
		for i := range int(count) {
			next := Value{Tag: strconv.Itoa(random.IntN(6))}
			all = append(all, Step{Commit: strconv.Itoa(i), Writer: writers[random.IntN(len(writers))], Before: held, After: next})
			held = next
		}
		slices.Reverse(all)
		cleared := Value{Tag: "3"}
		got := Judge(self, all, numbered, cleared.Same)
		for _, r := range got.Rejected {
			i := slices.IndexFunc(all, func(s Step) bool { return s.Commit == r.Commit })
			if r.Same(held) || r.Same(cleared) || all[i].Writer == self || all[i].Before != r.Value {
				t.Errorf("rejected %+v, while Git holds %+v", r, held)
			}
		}
		if got.Conflict != nil && (got.Conflict.Theirs == self || got.Conflict.Theirs == person) {
			t.Errorf("conflict %+v", got.Conflict)
		}
		short := Judge(self, all[:len(all)/2], numbered, cleared.Same)
		if len(short.Rejected) > len(got.Rejected) {
			t.Errorf("half of the history rejects %+v, all of it %+v", short.Rejected, got.Rejected)
		}
	})
}
