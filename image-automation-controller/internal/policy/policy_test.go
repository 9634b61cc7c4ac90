// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

const testField = "spec.weir.images[0]"

func semverIn(limits string) imagev1.ImageChoice {
	return imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: limits}}}
}

func alphabetical(order string) imagev1.ImageChoice {
	return imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{Alphabetical: &imagev1.AlphabeticalPolicy{Order: order}}}
}

func numerical(order string) imagev1.ImageChoice {
	return imagev1.ImageChoice{ImagePolicyChoice: imagev1.ImagePolicyChoice{Numerical: &imagev1.NumericalPolicy{Order: order}}}
}

func timestamp(layout string) imagev1.ImageChoice {
	return imagev1.ImageChoice{Timestamp: &imagev1.TimestampPolicy{Layout: layout}}
}

func following(tag string) imagev1.ImageChoice {
	return imagev1.ImageChoice{Digest: &imagev1.DigestPolicy{Tag: tag}}
}

func byCEL(match, key string) imagev1.ImageChoice {
	return imagev1.ImageChoice{CEL: &imagev1.CELPolicy{Match: match, Key: key}}
}

func filterTags(pattern, extract string) *imagev1.TagFilter {
	return &imagev1.TagFilter{Pattern: pattern, Extract: extract}
}

// models are what the registry of the tests holds.
func models(_ context.Context, tag string) (Facts, error) {
	accuracy, ok := map[string]string{"v1": "0.91", "v2": "0.95", "v3": "0.93", "v4": "nan", "v6": "0.95"}[tag]
	if !ok {
		return Facts{}, fmt.Errorf("manifest of %s: %w", tag, ErrUnreadable)
	}
	return Facts{Tag: tag, Digest: "sha256:" + tag, Annotations: map[string]string{"acc": accuracy}, Labels: map[string]string{"stage": "prod"}}, nil
}

func TestRank(t *testing.T) {
	const accuracy = "num(annotations['acc'])"
	for name, tc := range map[string]struct {
		choice imagev1.ImageChoice
		filter *imagev1.TagFilter
		tags   []string
		want   []string
		err    string
	}{
		"semver":                    {choice: semverIn(">=1.0.0"), tags: []string{"1.0.0", "1.10.0", "1.9.1", "0.9.0", "latest", "2.0"}, want: []string{"1.10.0", "1.9.1", "1.0.0"}},
		"semver, range":             {choice: semverIn("1.x"), tags: []string{"v1.2.3", "2.0.0", "1.2.4"}, want: []string{"1.2.4", "v1.2.3"}},
		"semver, prerelease":        {choice: semverIn(">=1.0.0"), tags: []string{"1.1.0-rc.1", "1.0.1"}, want: []string{"1.0.1"}},
		"semver, prerelease wanted": {choice: semverIn(">=1.0.0-0"), tags: []string{"1.1.0-rc.1", "1.1.0-rc.10", "1.1.0-rc.2", "1.0.1"}, want: []string{"1.1.0-rc.10", "1.1.0-rc.2", "1.1.0-rc.1", "1.0.1"}},
		"semver, tie":               {choice: semverIn("*"), tags: []string{"v1.0.0", "1.0.0"}, want: []string{"1.0.0", "v1.0.0"}},
		"semver, odd tags":          {choice: semverIn("*"), tags: []string{"1.0.0", "", "v", "vv1.2.3", "99999999999999999999.0.0", "1.0.0.0", "01.0.0", "1..2", "V9.0.0", "1.0.0-é"}, want: []string{"1.0.0"}},
		"semver, extracted":         {choice: semverIn("*"), filter: filterTags(`^linux-(?P<v>.*)$`, "$v"), tags: []string{"linux-1.0.0", "windows-3.0.0", "linux-2.0.0"}, want: []string{"linux-2.0.0", "linux-1.0.0"}},
		"semver, none":              {choice: semverIn(">=3"), tags: []string{"1.0.0"}, err: `no tag is a version in the range ">=3", or what filterTags.extract takes of it`},
		"alphabetical":              {choice: alphabetical(""), tags: []string{"a", "c", "b"}, want: []string{"c", "b", "a"}},
		"alphabetical, descending":  {choice: alphabetical("desc"), tags: []string{"a", "c", "b"}, want: []string{"a", "b", "c"}},
		"alphabetical, bytes":       {choice: alphabetical("asc"), tags: []string{"B", "a", "10", "9"}, want: []string{"a", "B", "9", "10"}},
		"numerical":                 {choice: numerical("asc"), tags: []string{"10", "9", "-1", "1.5", "1e1"}, want: []string{"1e1", "10", "9", "1.5", "-1"}},
		"numerical, descending":     {choice: numerical("desc"), tags: []string{"10", "9", "-1"}, want: []string{"-1", "9", "10"}},
		"numerical, odd tags":       {choice: numerical(""), tags: []string{"10", "latest", "nan", "inf", "+Inf", "infinity", "0x10", "1e999", "", "1a"}, want: []string{"10"}},
		"numerical, extracted":      {choice: numerical(""), filter: filterTags(`^main-[a-f0-9]+-(?P<ts>\d+)$`, "${ts}"), tags: []string{"main-abc-100", "main-fff-9", "main-000-100", "dev-abc-500"}, want: []string{"main-abc-100", "main-000-100", "main-fff-9"}},
		"numerical, number of group": {choice: numerical(""), filter: filterTags(`^b(\d+)-(\d+)$`, "$1.$2"), tags: []string{"b1-5", "b1-45", "b2-0"},
			want: []string{"b2-0", "b1-5", "b1-45"}},
		"numerical, none":          {choice: numerical(""), tags: []string{"b", "a"}, err: "no tag is a number, or what filterTags.extract takes of it"},
		"filter, whole tag":        {choice: alphabetical(""), filter: filterTags("^v", ""), tags: []string{"v1", "x", "v2"}, want: []string{"v2", "v1"}},
		"filter, all out":          {choice: alphabetical(""), filter: filterTags("^v", ""), tags: []string{"x"}, err: `no tag matches filterTags.pattern "^v"`},
		"filter, no group":         {choice: alphabetical(""), filter: filterTags("", ""), tags: []string{"x"}, want: []string{"x"}},
		"filter, dollar":           {choice: alphabetical(""), filter: filterTags("(.)", "$$1"), tags: []string{"x"}, want: []string{"x"}},
		"timestamp":                {choice: timestamp("20060102-150405"), tags: []string{"20260101-100000", "20260101-090000", "20261301-000000", "x"}, want: []string{"20260101-100000", "20260101-090000"}},
		"timestamp, zones":         {choice: timestamp("2006-01-02T15.04Z0700"), tags: []string{"2026-01-01T10.00+0200", "2026-01-01T09.30Z"}, want: []string{"2026-01-01T09.30Z", "2026-01-01T10.00+0200"}},
		"timestamp, extracted":     {choice: timestamp("20060102"), filter: filterTags(`(?P<d>\d{8})`, "$d"), tags: []string{"m-20260101-a", "m-20260301-b"}, want: []string{"m-20260301-b", "m-20260101-a"}},
		"timestamp, none":          {choice: timestamp("20060102"), tags: []string{"x"}, err: `no tag is a time in the layout "20060102", or what filterTags.extract takes of it`},
		"digest":                   {choice: following("stable"), tags: []string{"1", "stable", "2"}, want: []string{"stable"}},
		"digest, gone":             {choice: following("stable"), tags: []string{"1"}, err: `there is no tag "stable"`},
		"cel over the tag":         {choice: byCEL("tag != 'x'", "int(tag.substring(1))"), tags: []string{"v10", "x", "v9", "vx"}, want: []string{"v10", "v9"}},
		"cel, texts":               {choice: byCEL("", "tag.split('-')[1]"), tags: []string{"1-a", "0-b", "c"}, want: []string{"0-b", "1-a"}},
		"cel over annotations":     {choice: byCEL("", accuracy), tags: []string{"v1", "v2", "v3", "v4", "v5", "v6"}, want: []string{"v6", "v2", "v3", "v1"}},
		"cel, match on labels":     {choice: byCEL("labels['stage'] == 'dev'", accuracy), tags: []string{"v1"}, err: "no tag meets policy.cel.match"},
		"cel, all fail":            {choice: byCEL("", "num(annotations['x'])"), tags: []string{"v2", "v1"}, err: `no tag can be ordered by policy.cel: spec.weir.images[0].policy.cel.key: 1:16: annotations["x"] is missing`},
		"cel, nothing is readable": {choice: byCEL("", accuracy), tags: []string{"v9", "v8"}, err: "no tag can be ordered by policy.cel: manifest of v8: unreadable"},
		"no tags":                  {choice: semverIn("*"), err: "the registry lists no tag that is not excluded"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(testField, tc.choice, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				rand.Shuffle(len(tc.tags), func(i, j int) { tc.tags[i], tc.tags[j] = tc.tags[j], tc.tags[i] })
				got, err := p.Rank(t.Context(), tc.tags, models)
				if tc.err != "" {
					if !errors.Is(err, ErrNone) || err.Error() != tc.err {
						t.Fatalf("error %v, want %s", err, tc.err)
					}
					continue
				}
				if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
					t.Fatalf("error %v; tags (-want +got):\n%s", err, diff)
				}
				for limit := 1; limit <= len(tc.want)+1; limit++ {
					best, err := p.Best(t.Context(), tc.tags, limit, models)
					if diff := cmp.Diff(tc.want[:min(limit, len(tc.want))], best); err != nil || diff != "" {
						t.Fatalf("best %d: error %v; tags (-want +got):\n%s", limit, err, diff)
					}
				}
			}
		})
	}
}

func TestLatestSaysWhatFluxSays(t *testing.T) {
	for name, tc := range map[string]struct {
		choice imagev1.ImageChoice
		filter *imagev1.TagFilter
		tags   []string
		want   string
		err    string
	}{
		"semver":                {choice: semverIn(">=1.0.0 <2.0.0"), tags: []string{"1.0.0", "1.5.0", "2.0.0"}, want: "1.5.0"},
		"extracted":             {choice: numerical("asc"), filter: filterTags(`^main-(?P<ts>\d+)`, "$ts"), tags: []string{"main-2-x", "main-10-x"}, want: "main-10-x"},
		"no tags":               {choice: semverIn("*"), err: "version list argument cannot be empty"},
		"no tags after filter":  {choice: alphabetical(""), filter: filterTags("^v", ""), tags: []string{"x"}, err: "version list argument cannot be empty"},
		"no version in range":   {choice: semverIn(">=2"), tags: []string{"1.0.0"}, err: "unable to determine latest version from provided list"},
		"no number":             {choice: numerical(""), tags: []string{"b", "a"}, err: "failed to parse invalid numeric value 'a'"},
		"a number and odd tags": {choice: numerical(""), tags: []string{"b", "3"}, want: "3"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := CompileFlux(tc.choice.ImagePolicyChoice, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Latest(t.Context(), tc.tags)
			if tc.err != "" {
				if !errors.Is(err, ErrNone) || err.Error() != tc.err {
					t.Errorf("error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("latest is %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestCompile(t *testing.T) {
	both := semverIn("*")
	both.Digest = &imagev1.DigestPolicy{Tag: "x"}
	for name, tc := range map[string]struct {
		choice imagev1.ImageChoice
		filter *imagev1.TagFilter
		want   string // description
		err    string // below testField
		flux   string // error of CompileFlux, if it is another one
	}{
		"semver":            {choice: semverIn(">=1.0.0"), want: "semver >=1.0.0"},
		"alphabetical":      {choice: alphabetical("asc"), want: "alphabetical"},
		"numerical":         {choice: numerical("desc"), want: "numerical desc"},
		"timestamp":         {choice: timestamp("20060102"), want: "timestamp 20060102"},
		"timestamp, unix":   {choice: timestamp("v2006.1.2"), want: "timestamp v2006.1.2"},
		"digest":            {choice: following("stable"), want: "digest stable"},
		"cel":               {choice: byCEL("", "num(annotations['a'])"), want: "cel num(annotations['a'])"},
		"cel, match":        {choice: byCEL("tag !=\n 'x'", "tag"), want: "cel tag where tag != 'x'"},
		"range":             {choice: semverIn("what"), err: ".policy.semver.range: improper constraint: \"what\"", flux: "invalid policy: improper constraint: \"what\""},
		"order":             {choice: numerical("up"), err: ".policy.numerical.order: invalid order argument provided: 'UP', must be one of: ASC, DESC", flux: "invalid policy: invalid order argument provided: 'UP', must be one of: ASC, DESC"},
		"nothing":           {err: ".policy: has 0 policies; set one of semver, numerical, alphabetical, timestamp, digest and cel", flux: "invalid policy: given ImagePolicyChoice object is invalid"},
		"two":               {choice: both, err: ".policy: has 2 policies; set one of semver, numerical, alphabetical, timestamp, digest and cel"},
		"pattern":           {choice: semverIn("*"), filter: filterTags("(", ""), err: ".filterTags.pattern: invalid regular expression pattern '(': error parsing regexp: missing closing ): `(`", flux: "failed to filter tags: invalid regular expression pattern '(': error parsing regexp: missing closing ): `(`"},
		"long pattern":      {choice: semverIn("*"), filter: filterTags(strings.Repeat("a", 2049), ""), err: ".filterTags: pattern and extract have at most 2048 bytes each"},
		"unknown group":     {choice: semverIn("*"), filter: filterTags("(?P<v>.*)", "$version"), err: `.filterTags.extract: pattern has no group "version"; name one as in (?P<version>...), and write ${1}x for a group that text follows`},
		"unknown number":    {choice: semverIn("*"), filter: filterTags("(.*)", "${2}"), err: `.filterTags.extract: pattern has no group "2"; name one as in (?P<2>...), and write ${1}x for a group that text follows`},
		"digest and filter": {choice: following("stable"), filter: filterTags(".*", ""), err: `.filterTags: cannot be used with policy.digest, which follows the tag "stable" alone`},
		"layout":            {choice: timestamp("YYYYMMDD"), err: `.policy.timestamp.layout: "YYYYMMDD" tells nothing of a time; write how 2 January 2006, 15:04:05 would be written, such as 20060102-150405`},
		"key":               {choice: byCEL("", "annotations.a +"), err: ".policy.cel.key: 1:16: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"},
		"match":             {choice: byCEL("tag", "tag"), err: ".policy.cel.match: the expression yields string, want bool"},
		"more than facts":   {choice: byCEL("", "digest"), err: ".policy.cel.key: 1:1: undeclared reference to 'digest' (in container '')"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(testField, tc.choice, tc.filter)
			if tc.err != "" && (err == nil || err.Error() != testField+tc.err) {
				t.Errorf("error %v, want %s", err, tc.err)
			}
			if tc.err == "" && (err != nil || p.Describe() != tc.want) {
				t.Errorf("compiles to %v, %v", p, err)
			}
			if tc.flux != "" {
				if _, err := CompileFlux(tc.choice.ImagePolicyChoice, tc.filter); err == nil || err.Error() != tc.flux {
					t.Errorf("error %v, want %s", err, tc.flux)
				}
			}
		})
	}
}

func TestAbove(t *testing.T) {
	for name, tc := range map[string]struct {
		choice       imagev1.ImageChoice
		filter       *imagev1.TagFilter
		a, b         string
		above, known bool
	}{
		"semver":                      {choice: semverIn("*"), a: "1.10.0", b: "1.9.0", above: true, known: true},
		"semver, below":               {choice: semverIn("*"), a: "1.9.0", b: "1.10.0", known: true},
		"semver, same":                {choice: semverIn("*"), a: "1.9.0", b: "v1.9.0", known: true},
		"same tag":                    {choice: semverIn("*"), a: "1.9.0", b: "1.9.0", known: true},
		"semver, outside of range":    {choice: semverIn("1.x"), a: "1.9.0", b: "2.0.0", known: true},
		"semver, prerelease held":     {choice: semverIn("1.x"), a: "1.9.0", b: "2.0.0-rc.1", known: true},
		"semver, unknown":             {choice: semverIn("*"), a: "1.9.0", b: "latest"},
		"filtered out":                {choice: semverIn("*"), filter: filterTags("^1", ""), a: "1.9.0", b: "2.0.0"},
		"extracted":                   {choice: numerical(""), filter: filterTags(`-(\d+)$`, "$1"), a: "a-10", b: "b-9", above: true, known: true},
		"numerical, descending":       {choice: numerical("desc"), a: "1", b: "2", above: true, known: true},
		"alphabetical":                {choice: alphabetical(""), a: "b", b: "a", above: true, known: true},
		"timestamp":                   {choice: timestamp("20060102"), a: "20260201", b: "20260131", above: true, known: true},
		"digest":                      {choice: following("stable"), a: "stable", b: "stable"},
		"cel over the tag":            {choice: byCEL("", "int(tag)"), a: "10", b: "9", above: true, known: true},
		"cel over the tag, unordered": {choice: byCEL("", "int(tag)"), a: "10", b: "x"},
		"cel over annotations":        {choice: byCEL("", "num(annotations['acc'])"), a: "v2", b: "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(testField, tc.choice, tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			if above, known := p.Above(tc.a, tc.b); above != tc.above || known != tc.known {
				t.Errorf("above %t, known %t; want %t, %t", above, known, tc.above, tc.known)
			}
		})
	}
	p, err := Compile(testField, byCEL("", "num(annotations['acc'])"), nil)
	if err != nil {
		t.Fatal(err)
	}
	fact := func(accuracy string) Facts { return Facts{Tag: "x", Annotations: map[string]string{"acc": accuracy}} }
	if above, known := p.AboveFacts(t.Context(), fact("0.95"), fact("0.9")); !above || !known {
		t.Errorf("by facts: above %t, known %t", above, known)
	}
	if above, known := p.AboveFacts(t.Context(), fact("0.95"), fact("x")); above || known {
		t.Errorf("by a fact that is no number: above %t, known %t", above, known)
	}
}

func TestReads(t *testing.T) {
	tags := make([]string, MaxReads+1)
	for i := range tags {
		tags[i] = fmt.Sprintf("v%d", i)
	}
	reads := 0
	read := func(ctx context.Context, tag string) (Facts, error) {
		reads++
		return models(ctx, tag)
	}
	down := errors.New("the registry is slow")
	for name, tc := range map[string]struct {
		choice imagev1.ImageChoice
		read   Read
		err    error
		text   string
		reads  int
	}{
		"too many":           {byCEL("", "num(annotations['acc'])"), read, ErrTooMany, "spec.weir.images[0].policy.cel: too many candidates to read: 201 are left after filterTags, and an expression over annotations or labels reads at most 200; narrow filterTags.pattern", 0},
		"match over the tag": {byCEL("size(tag) == 2", "num(annotations['acc'])"), read, nil, "", 10},
		"tag alone":          {byCEL("", "tag"), read, nil, "", 0},
		"registry is down":   {byCEL("size(tag) == 2", "num(annotations['acc'])"), func(context.Context, string) (Facts, error) { return Facts{}, down }, down, "the registry is slow", 0},
	} {
		t.Run(name, func(t *testing.T) {
			reads = 0
			p, err := Compile(testField, tc.choice, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Rank(t.Context(), tags, tc.read)
			if !errors.Is(err, tc.err) || err != nil && err.Error() != tc.text || reads != tc.reads {
				t.Errorf("error %v after %d reads, want %v after %d", err, reads, tc.text, tc.reads)
			}
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, choice := range []imagev1.ImageChoice{semverIn("*"), byCEL("", "tag")} {
		p, err := Compile(testField, choice, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Rank(ctx, []string{"1.0.0"}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", p.Describe(), err)
		}
	}
}

// choices are policies that are held against any tags.
func choices() []imagev1.ImageChoice {
	return []imagev1.ImageChoice{semverIn("*"), semverIn(">=1.0.0-0 <3"), alphabetical("asc"), alphabetical("desc"), numerical("asc"), numerical("desc"), timestamp("20060102"), following("1"), byCEL("", "size(tag)")}
}

// FuzzRank holds the ranking to what is promised of it: the order of what is
// given does not matter, the best are the first of all, and nothing ranks above
// what goes before it.
func FuzzRank(f *testing.F) {
	f.Add("1.0.0,v1.0.0,1.0.0-rc.1,latest,10,1e1,20260101,,x", "", "", uint64(1))
	f.Add("main-abc-1,main-abc-01,main-def-1,dev-1", `^main-(\w+)-(?P<n>\d+)$`, "$n", uint64(2))
	f.Add("a,b", "(", "$", uint64(3))
	f.Fuzz(func(t *testing.T, list, pattern, extract string, seed uint64) {
		tags := strings.Split(list, ",")
		var tagFilter *imagev1.TagFilter
		if pattern != "" || extract != "" {
			tagFilter = filterTags(pattern, extract)
		}
		for _, choice := range choices() {
			p, err := Compile(testField, choice, tagFilter)
			if err != nil {
				if !strings.HasPrefix(err.Error(), testField+".filterTags") {
					t.Fatalf("error %v", err)
				}
				continue
			}
			ranked, err := p.Rank(t.Context(), tags, nil)
			if err != nil && !errors.Is(err, ErrNone) {
				t.Fatalf("%s: %v", p.Describe(), err)
			}
			shuffled := slices.Clone(tags)
			random := rand.New(rand.NewPCG(seed, 0))
			random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			again, _ := p.Rank(t.Context(), shuffled, nil)
			if diff := cmp.Diff(ranked, again); diff != "" {
				t.Fatalf("%s: depends on the order:\n%s", p.Describe(), diff)
			}
			best, _ := p.Best(t.Context(), shuffled, 2, nil)
			if diff := cmp.Diff(ranked[:min(2, len(ranked))], best); diff != "" && len(ranked) > 0 {
				t.Fatalf("%s: best two:\n%s", p.Describe(), diff)
			}
			for i := 1; i < len(ranked); i++ {
				if above, _ := p.Above(ranked[i], ranked[i-1]); above || ranked[i] == ranked[i-1] {
					t.Fatalf("%s: %q goes before %q", p.Describe(), ranked[i-1], ranked[i])
				}
			}
		}
	})
}

// FuzzVersion holds the short way to a version to the long one.
func FuzzVersion(f *testing.F) {
	for _, seed := range []string{"1.2.3", "v1.2.3-rc.1", "1.2", "vv1.2.3", "1.2.3-", "01.2.3", "1.2.3+a", "v"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseVersion(text)
		_, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
		want, wrong := semver.NewVersion(text)
		if ok != (err == nil && wrong == nil) {
			t.Fatalf("%q is a version: %t; want %v, %v", text, ok, err, wrong)
		}
		if ok && !got.Equal(want) {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	})
}

// BenchmarkBest ranks 100,000 tags by 50 policies, as one scan wakes them.
func BenchmarkBest(b *testing.B) {
	tags := make([]string, 0, 100_000)
	start := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	for i := range 50_000 {
		tags = append(tags, fmt.Sprintf("v%d.%d.%d", i/10_000, i/100%100, i%100), fmt.Sprintf("main-%07x-%d", i*2654435761%(1<<28), start.Add(time.Duration(i)*time.Minute).Unix()))
	}
	slices.Sort(tags)
	var policies []*Policy
	for i := range 50 {
		choice, tagFilter := semverIn(fmt.Sprintf("%d.x", i%5)), (*imagev1.TagFilter)(nil)
		switch i % 5 {
		case 1:
			choice, tagFilter = numerical("asc"), filterTags(`^main-[a-f0-9]+-(?P<ts>[0-9]+)$`, "$ts")
		case 2:
			choice, tagFilter = alphabetical("asc"), filterTags(`^main-`, "")
		case 3:
			choice, tagFilter = semverIn(fmt.Sprintf("<%d.50", i%5)), filterTags(`^v(?P<v>.*)$`, "$v")
		}
		p, err := Compile(testField, choice, tagFilter)
		if err != nil {
			b.Fatal(err)
		}
		policies = append(policies, p)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range policies {
			if _, err := p.Best(b.Context(), tags, 10, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}
