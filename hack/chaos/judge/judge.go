// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package judge says what a disturbance has cost: it compares what was seen of
// a cluster with what Git said. It asks nobody and keeps nothing.
package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// slack is how much later than one kind another may be seen: each kind has a
// watch of its own.
const slack = 2 * time.Second

// A Ref names an object.
type Ref struct {
	Kind, Namespace, Name string
}

// String is "Kind namespace/name".
func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// once reports whether an object stands for work that must not be done twice.
func (r Ref) once() bool { return r.Kind == "Job" }

// A State is what a cluster is to hold: the content of every object.
type State map[Ref]string

// A Commit is what Git said from a time on.
type Commit struct {
	// Number counts up; objects bear that of the commit that they are from.
	Number int
	// At is the time right before it could be seen.
	At time.Time
	// Holds is all that it says.
	Holds State
}

// A Sighting is one thing that a watch said about an object.
type Sighting struct {
	At  time.Time
	Ref Ref
	UID string
	// Number is that of the commit that the object is from, or 0 if it bears
	// none.
	Number int
	// Done is set on a Job that has completed.
	Done bool
	// Gone is set when the object was deleted.
	Gone bool
}

// An Object is a live one.
type Object struct {
	UID, Content string
}

// Evidence is all that there is to judge a stretch of time by.
type Evidence struct {
	// Commits by their numbers. There is at least one.
	Commits []Commit
	// Sightings in the order in which they were made, those of the objects that
	// were there at the beginning first.
	Sightings []Sighting
	// Live is what the cluster holds at the end.
	Live map[Ref]Object
	// Finished are Jobs that had completed before.
	Finished map[Ref]bool
}

// Losses returns a sentence for everything that is not as it has to be: the
// cluster must equal the last commit, no object may have been created or
// deleted that no commit asked for, none may have gone back to an earlier
// commit, and no Job may have been created twice. No sentence is no loss.
func Losses(e Evidence) []string {
	losses := e.differences()
	h := history{Evidence: e, uids: map[Ref]string{}, numbers: map[Ref]int{}, jobs: map[Ref]map[string]bool{}}
	return append(losses, h.losses()...)
}

// Done returns the Jobs that have completed, now or before.
func (e Evidence) Done() map[Ref]bool {
	done := map[Ref]bool{}
	maps.Copy(done, e.Finished)
	for _, s := range e.Sightings {
		if s.Done {
			done[s.Ref] = true
		}
	}
	return done
}

func (e Evidence) differences() []string {
	head := e.Commits[len(e.Commits)-1]
	return Differences(head.Holds, e.Live, e.Done())
}

// Differences returns a sentence for each object that is missing, has another
// content, or is too much. A Job that is done may be missing.
func Differences(want State, live map[Ref]Object, done map[Ref]bool) []string {
	var list []string
	for _, ref := range slices.SortedFunc(maps.Keys(want), compare) {
		object, there := live[ref]
		switch {
		case !there && !done[ref]:
			list = append(list, fmt.Sprintf("%s is missing", ref))
		case there && object.Content != want[ref]:
			list = append(list, fmt.Sprintf("%s is not as in Git", ref))
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(live), compare) {
		if _, wanted := want[ref]; !wanted {
			list = append(list, fmt.Sprintf("%s is in the cluster and not in Git", ref))
		}
	}
	return list
}

func compare(a, b Ref) int { return cmp.Compare(a.String(), b.String()) }

// A history goes through the sightings in their order.
type history struct {
	Evidence
	uids    map[Ref]string
	numbers map[Ref]int
	jobs    map[Ref]map[string]bool
	floors  []floor
	found   []string
}

// A floor is a time from which on a commit is known to be applied.
type floor struct {
	at     time.Time
	number int
}

func (h *history) losses() []string {
	begin := time.Time{}
	if len(h.Sightings) > 0 {
		begin = h.Sightings[0].At
	}
	for _, s := range h.Sightings {
		h.see(s, begin)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(h.jobs), compare) {
		if n := len(h.jobs[ref]); n > 1 {
			h.lose("%s was created %d times", ref, n)
		}
	}
	return h.found
}

func (h *history) lose(format string, args ...any) {
	h.found = append(h.found, fmt.Sprintf(format, args...))
}

// see takes one sighting. What was there at the beginning was not created then.
func (h *history) see(s Sighting, begin time.Time) {
	known := h.uids[s.Ref]
	if s.Ref.once() && s.UID != "" {
		if h.jobs[s.Ref] == nil {
			h.jobs[s.Ref] = map[string]bool{}
		}
		h.jobs[s.Ref][s.UID] = true
	}
	if s.Gone {
		if known == s.UID {
			h.died(s)
		}
		return
	}
	if known != "" && known != s.UID {
		// The watch was down when it was deleted.
		h.died(s)
		known = ""
	}
	if known == "" {
		h.uids[s.Ref] = s.UID
		if s.At.After(begin) && !h.lawful(s, true) {
			h.lose("%s was created, and no commit asked for it", s.Ref)
		}
	}
	if s.Number == 0 {
		return
	}
	if s.Number < h.numbers[s.Ref] {
		h.lose("%s went back from commit %d to %d", s.Ref, h.numbers[s.Ref], s.Number)
	}
	h.numbers[s.Ref] = s.Number
	if len(h.floors) == 0 || s.Number > h.floors[len(h.floors)-1].number {
		h.floors = append(h.floors, floor{s.At, s.Number})
	}
}

func (h *history) died(s Sighting) {
	delete(h.uids, s.Ref)
	delete(h.numbers, s.Ref)
	if s.Ref.once() && h.Done()[s.Ref] {
		return // its time to live has ended
	}
	if !h.lawful(s, false) {
		h.lose("%s was deleted, and no commit asked for that", s.Ref)
	}
}

// lawful reports whether a commit that could be the one in the making asks for
// an object to be there, or not to be.
func (h *history) lawful(s Sighting, there bool) bool {
	least := 0
	for _, f := range slices.Backward(h.floors) {
		if f.at.Before(s.At.Add(-slack)) {
			least = f.number
			break
		}
	}
	for _, c := range slices.Backward(h.Commits) {
		if c.Number < least {
			return false
		}
		_, holds := c.Holds[s.Ref]
		if !c.At.After(s.At) && holds == there {
			return true
		}
	}
	return false
}
