// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-gitops/weir/pkg/testkit"
)

const usualIndex = `apiVersion: v1
entries:
  app:
  - annotations:
      text: |
        entries:
          fake:
          - version: 9.9.9
    created: "2026-01-02T03:04:05.6Z"
    digest: abc
    name: app
    urls:
    - charts/app-1.1.0.tgz
    - https://mirror.example.com/app-1.1.0.tgz
    version: 1.1.0

  # An old one.
  - name: app
    urls: [charts/app-1.0.0.tgz]
    version: 1.0.0
  - name: app
    version: not a version
  empty: []
  "other":
    - name: other
      description: 'it goes
        on'
      version: 0.1.0
generated: "2026-01-01T00:00:00Z"
`

func TestReadIndex(t *testing.T) {
	t.Parallel()
	app := []Entry{
		{
			Name: "app", Version: "1.1.0", Digest: "abc", created: time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC),
			urls: []string{"charts/app-1.1.0.tgz", "https://mirror.example.com/app-1.1.0.tgz"},
		},
		{Name: "app", Version: "1.0.0", urls: []string{"charts/app-1.0.0.tgz"}},
	}
	other := []Entry{{Name: "other", Version: "0.1.0"}}
	tests := map[string]struct {
		index, chart string
		want         []Entry
		missing      bool
		err          string
	}{
		"block style":         {index: usualIndex, chart: "app", want: app},
		"quoted name":         {index: usualIndex, chart: "other", want: other},
		"no versions":         {index: usualIndex, chart: "empty"},
		"in a text":           {index: usualIndex, chart: "fake", missing: true},
		"not there":           {index: usualIndex, chart: "nothing", missing: true},
		"Windows line ends":   {index: strings.ReplaceAll(usualIndex, "\n", "\r\n"), chart: "other", want: other},
		"document marker":     {index: "---\n" + usualIndex, chart: "other", want: other},
		"empty entries":       {index: "apiVersion: v1\nentries: {}\n", chart: "app", missing: true},
		"no entries":          {index: "apiVersion: v1\n", chart: "app", missing: true},
		"JSON":                {index: `{"apiVersion":"v1","x":{"y":[1]},"entries":{"a":[],"other":[{"name":"other","version":"0.1.0","maintainers":[{}]},null]}}`, chart: "other", want: other},
		"flow style":          {index: "apiVersion: v1\nentries: {other: [{name: other, version: 0.1.0}]}\n", chart: "other", want: other},
		"flow style as JSON":  {index: "{apiVersion: v1, entries: {other: [{name: other, version: 0.1.0}]}}", chart: "other", want: other},
		"anchors":             {index: "apiVersion: v1\nentries:\n  app:\n  - &a {name: other, version: 0.1.0}\n  other:\n  - *a\n", chart: "other", want: other},
		"text at low column":  {index: "apiVersion: v1\nentries:\n  app:\n  - name: app\n    description: \"a\n  b:\n  - c\"\n    version: 1.0.0\n  other:\n  - name: other\n    version: 0.1.0\n", chart: "other", want: other},
		"a chart in a text":   {index: "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    description: 'a\n  other:\n  - name: other\n    version: 6.6.6\n    x: '\n  other:\n  - name: other\n    version: 0.1.0\n", chart: "other", want: other},
		"numbers as versions": {index: "apiVersion: v1\nentries:\n  other:\n  - name: other\n    version: 1.10\n", chart: "other", want: []Entry{{Name: "other", Version: "1.10"}}},
		"empty":               {index: "", err: "it is empty"},
		"blank":               {index: "\n \n", err: "it is empty"},
		"a page":              {index: "<html>\n<body>secret</body></html>", err: "it is not a valid index of a Helm repository"},
		"no API version":      {index: "entries: {}\n", err: "it has no apiVersion"},
		"a list":              {index: "- a\n- b\n", err: "it is not a valid index"},
		"twice":               {index: "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n  app:\n  - name: app\n    version: 2.0.0\n", err: "lists the chart 'app' twice"},
		"wrong type":          {index: "apiVersion: v1\nentries:\n  app:\n  - name: app\n    urls: secret\n", err: "near line 5"},
		"cut off":             {index: `{"apiVersion":"v1","entries":{"app":[{"name":"a`, err: "it is not a valid index"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkIndex(strings.NewReader(tc.index))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, found, err := lookup(strings.NewReader(tc.index), tc.chart)
			if err != nil || found == tc.missing {
				t.Fatalf("found %v, error %v", found, err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(Entry{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIrregularIndexesAreBounded(t *testing.T) {
	t.Parallel()
	index := "apiVersion: v1\nentries: {" + strings.Repeat("                               \n", maxIrregular/32+1) + "}\n"
	if err := checkIndex(strings.NewReader(index)); !errors.Is(err, errIrregular) || !strings.Contains(err.Error(), "2097152 bytes") {
		t.Errorf("error %v", err)
	}
	index = "apiVersion: v1\nentries:\n  app:\n  - name: app\n    description: " + strings.Repeat("x", 2*maxItem) + "\n"
	if err := checkIndex(strings.NewReader(index)); !errors.Is(err, errInvalid) {
		t.Errorf("error %v", err)
	}
	many := strings.Repeat(`{"name":"app","version":"1"},`, maxVersions)
	for versions, want := range map[string]error{many + "null": errInvalid, strings.TrimSuffix(many, ","): nil} {
		index := `{"apiVersion":"v1","entries":{"a":[null],"app":[` + versions + `]}}`
		if err := checkIndex(strings.NewReader(index)); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
	index = "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n" + strings.Repeat("    #\n", maxItem)
	if err := checkIndex(strings.NewReader(index)); !errors.Is(err, errInvalid) {
		t.Errorf("error %v", err)
	}
}

// writeIndex writes a large index to a file and opens it.
func writeIndex(t testing.TB, size int) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "index.yaml")
	if err := os.WriteFile(path, testkit.HelmLargeIndex(size), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// A large index is checked, and charts are looked up in it, in memory for a
// part of it. BenchmarkIndex has the figures for one at the limit.
func TestLargeIndexNeedsLittleMemory(t *testing.T) {
	checked, searched := writeIndex(t, 12<<20), writeIndex(t, 50<<20)
	peak := watchHeap(t, func() {
		if err := checkIndex(checked); err != nil {
			t.Error(err)
		}
		entries, _, err := lookup(searched, "chart-7")
		if err != nil || len(entries) != 100 {
			t.Errorf("%d versions, error %v", len(entries), err)
		}
	})
	if peak > 16<<20 {
		t.Errorf("the heap grew by %d bytes", peak)
	}
}

// BenchmarkIndex reads an index of 50 MiB and reports by how much the heap grows
// at most.
func BenchmarkIndex(b *testing.B) {
	file := writeIndex(b, 50<<20)
	for name, work := range map[string]func() error{
		"check":  func() error { return checkIndex(file) },
		"lookup": func() error { _, _, err := lookup(file, "chart-7"); return err },
	} {
		b.Run(name, func(b *testing.B) {
			peak := watchHeap(b, func() {
				for b.Loop() {
					if err := work(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(peak)/(1<<20), "heap-MiB")
		})
	}
}

// watchHeap returns by how much the heap grows at most while work runs.
func watchHeap(t testing.TB, work func()) uint64 {
	t.Helper()
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before, peak := stats.HeapAlloc, uint64(0)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&stats)
				if stats.HeapAlloc > before {
					peak = max(peak, stats.HeapAlloc-before)
				}
			}
		}
	}()
	work()
	close(done)
	<-ended
	return peak
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(usualIndex))
	f.Add([]byte(`{"apiVersion":"v1","entries":{"app":[{"name":"app","version":"1.0.0"}]}}`))
	f.Add([]byte("apiVersion: v1\nentries:\n  app:\n  - name: app\n    description: \"a\n  b:\n  - c\"\n    version: 1.0.0\n"))
	f.Fuzz(func(t *testing.T, index []byte) {
		if checkIndex(bytes.NewReader(index)) != nil {
			return
		}
		// What is looked up is what parsing the whole finds.
		got, found, err := lookup(bytes.NewReader(index), "app")
		if err != nil {
			t.Fatalf("%q: %v", index, err)
		}
		whole, err := readWith(bytes.NewReader(index), "app", true, readWhole)
		if err != nil {
			return // JSON that is no YAML, or a type that one of them is stricter about.
		}
		if diff := cmp.Diff(whole.entries, got, cmp.AllowUnexported(Entry{}), cmpopts.EquateEmpty()); diff != "" || found != whole.found {
			t.Errorf("%q:\n%s", index, diff)
		}
	})
}

func TestCache(t *testing.T) {
	t.Parallel()
	if c := NewCache(0, time.Minute, time.Minute); c != nil {
		t.Error("a cache of no size keeps something")
	}
	now := time.Unix(1000, 0)
	c := NewCache(2, time.Minute, time.Second)
	c.now = func() time.Time { return now }
	for i := range 3 {
		c.put(fmt.Sprint(i), "app", []Entry{{Name: "app"}})
		now = now.Add(time.Second)
	}
	if _, known := c.get("0", "app"); known {
		t.Error("the oldest index is still there")
	}
	c.put("2", "gone", nil)
	if entries, known := c.get("2", "gone"); !known || entries != nil {
		t.Errorf("%v %v", entries, known)
	}
	now = now.Add(50 * time.Second)
	if _, known := c.get("2", "app"); !known {
		t.Error("an index that is in use is gone")
	}
	now = now.Add(50 * time.Second)
	if _, known := c.get("1", "app"); known || len(c.indexes) != 1 {
		t.Errorf("%d indexes", len(c.indexes))
	}
}
