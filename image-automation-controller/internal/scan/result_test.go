// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSelect(t *testing.T) {
	t.Parallel()
	attachment := "sha256-" + strings.Repeat("0f", 32)
	r := NewResult(time.Now(), []string{"v1", "v2.sig", "v2", "rc1", "not a tag", "", attachment, attachment + ".sig"})
	sig := regexp.MustCompile(`^.*\.sig$`)
	tests := map[string]struct {
		exclude []*regexp.Regexp
		want    []string
	}{
		"all":    {nil, []string{"rc1", "v1", "v2", "v2.sig"}},
		"one":    {[]*regexp.Regexp{sig}, []string{"rc1", "v1", "v2"}},
		"two":    {[]*regexp.Regexp{sig, regexp.MustCompile("rc")}, []string{"v1", "v2"}},
		"none":   {[]*regexp.Regexp{regexp.MustCompile("nothing")}, []string{"rc1", "v1", "v2", "v2.sig"}},
		"of all": {[]*regexp.Regexp{regexp.MustCompile("")}, []string{}},
	}
	for name, tc := range tests {
		for range 2 {
			tags, revision := r.Select(tc.exclude)
			if !slices.Equal(tags, tc.want) || revision != NewResult(time.Now(), tc.want).Revision {
				t.Errorf("%s: %q with %s, want %q", name, tags, revision, tc.want)
			}
		}
	}
	for i := range 2 * maxSelections {
		if tags, _ := r.Select([]*regexp.Regexp{regexp.MustCompile(fmt.Sprint("x", i))}); len(tags) != 4 {
			t.Errorf("%d: %q", i, tags)
		}
	}
	if got := len(r.selections); got > maxSelections {
		t.Errorf("%d selections are kept", got)
	}
}

func TestRevision(t *testing.T) {
	t.Parallel()
	revisions := map[string]string{}
	for _, tags := range []string{"", "a", "a b", "b a a", "ab", "a b c"} {
		r := NewResult(time.Now(), strings.Fields(tags))
		canonical := strings.Join(r.Tags(), " ")
		if other, found := revisions[r.Revision]; found && other != canonical {
			t.Errorf("%q and %q have the same revision", other, canonical)
		}
		revisions[r.Revision] = canonical
	}
	if len(revisions) != 5 {
		t.Errorf("%d revisions, want 5", len(revisions))
	}
}

func TestAttached(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0f", 32)
	for tag, want := range map[string]bool{
		"sha256-" + hex:                  true,
		"sha256-" + hex + ".sig":         true,
		"sha256-" + hex + ".att":         true,
		"sha256-" + hex + ".sbom":        true,
		"sha256-" + hex + ".other":       true,
		"sha256-" + hex + "0":            false,
		"sha256-" + hex[1:]:              false,
		"sha256-" + strings.ToUpper(hex): false,
		"v1.sig":                         false,
		"sha256":                         false,
	} {
		if got := attached(tag); got != want {
			t.Errorf("%s: %v, want %v", tag, got, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add("v1 v2 v10 latest")
	f.Add("a aa aaa b")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewResult(time.Now(), strings.Fields(text))
		got, err := check(r.packed.data)
		if err != nil || got.count != r.packed.count || got.bytes != r.packed.bytes {
			t.Fatalf("%q: %v, %v, want %v", text, got, err, r.packed)
		}
		tags := r.Tags()
		if !slices.IsSorted(tags) || len(tags) != r.Count() {
			t.Fatalf("%q: %q", text, tags)
		}
		if again := pack(tags); !bytes.Equal(again.data, r.packed.data) {
			t.Fatalf("%q: packed again it is another text", text)
		}
	})
}

func FuzzDecode(f *testing.F) {
	content, err := encode("id", NewResult(time.Unix(1, 0), []string{"v1", "v2"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[len(magic) : len(content)-32])
	f.Add([]byte("\n\x00\x01a"))
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = decode("id", content)
		// The checksum would hide the rest from the fuzzer.
		if _, data, found := bytes.Cut(content, []byte{'\n'}); found {
			content = data
		}
		p, err := check(content)
		if err != nil {
			return
		}
		tags := p.unpack()
		if len(tags) != p.count || !bytes.Equal(pack(tags).data, content) {
			t.Fatalf("%q is not what %q is packed as", content, tags)
		}
	})
}

func BenchmarkSelect100000TagsOf50Users(b *testing.B) {
	r := NewResult(time.Now(), manyTags(100_000))
	exclude := []*regexp.Regexp{regexp.MustCompile(`^.*\.sig$`)}
	for b.Loop() {
		fresh := r.again(r.At) // as if it had just been scanned
		for range 50 {
			if tags, _ := fresh.Select(exclude); len(tags) != 100_000 {
				b.Fatal(len(tags))
			}
		}
	}
	b.ReportMetric(float64(r.Size()), "bytes-packed")
}

func BenchmarkScan100000Tags(b *testing.B) {
	server := serve(b)
	server.SetTags("m", manyTags(100_000))
	s, _ := start(b, Options{Dir: b.TempDir()})
	key := keyOf(b, server, "m")
	for b.Loop() {
		if r, err := await(b, s, key, 0, "a"); err != nil || r.Count() != 100_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan1000Repositories(b *testing.B) {
	server := serve(b)
	keys := make([]Key, 1000)
	for i := range keys {
		repo := fmt.Sprint("team/m", i)
		server.SetTags(repo, manyTags(100))
		keys[i] = keyOf(b, server, repo)
	}
	s, _ := start(b, Options{Dir: b.TempDir()})
	for b.Loop() {
		s.Drop("a")
		woken := make(chan struct{}, len(keys))
		for _, key := range keys {
			if _, _, err := s.Get(key, 0, "a", func() { woken <- struct{}{} }); err != nil {
				b.Fatal(err)
			}
		}
		for range keys {
			<-woken
		}
		for _, key := range keys {
			if _, fresh, err := s.Get(key, 0, "a", nil); !fresh || err != nil {
				b.Fatal(fresh, err)
			}
		}
	}
}

// A result of the disk bears the time of day that it is from, which the clock may
// have been put back behind since.
func TestFresh(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		age, most time.Duration
		want      bool
	}{
		"young enough":             {age: time.Minute, most: time.Minute, want: true},
		"too old":                  {age: time.Minute + 1, most: time.Minute},
		"begins now":               {most: 0, want: true},
		"from a clock far ahead":   {age: -time.Hour, most: time.Minute},
		"from a clock just ahead":  {age: -time.Second, most: time.Minute},
		"asked for one from later": {age: time.Nanosecond, most: 0},
	} {
		if got := isFresh(now.Add(-tc.age), now, tc.most); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}
