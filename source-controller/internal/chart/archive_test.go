// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/pkg/testkit"
)

// small are limits that a test can exceed.
var small = Limits{Index: 1 << 20, Chart: 20_000, File: 4_000}

// entry is one of a tar archive.
type entry struct {
	name, content string
	kind          byte
}

// archived returns the tar.gz of entries.
func archived(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		header := &tar.Header{Typeflag: e.kind, Name: e.name, Size: int64(len(e.content)), Mode: 0o644}
		if e.kind == tar.TypeSymlink {
			header.Linkname, header.Size = e.content, 0
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := archive.Write([]byte(e.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	chartYAML := entry{name: "app/Chart.yaml", content: "name: app\nversion: 1.0.0\n"}
	tests := map[string]struct {
		archive []byte
		want    map[string]string
		err     string
	}{
		"a chart": {
			archive: archived(t, chartYAML, entry{name: "app/", kind: tar.TypeDir}, entry{name: `app\templates\a.yaml`, content: "\ufeffa"}),
			want:    map[string]string{"Chart.yaml": chartYAML.content, "templates/a.yaml": "a"},
		},
		"a symlink": {
			archive: archived(t, chartYAML, entry{name: "app/secret", content: "/etc/passwd", kind: tar.TypeSymlink}),
			want:    map[string]string{"Chart.yaml": chartYAML.content},
		},
		"parent":              {archive: archived(t, entry{name: "app/../../x", content: "x"}), err: "leads out of the chart"},
		"absolute":            {archive: archived(t, entry{name: "app//etc/x", content: "x"}), err: "leads out of the chart"},
		"drive":               {archive: archived(t, entry{name: `app\c:\x`, content: "x"}), err: "leads out of the chart"},
		"no directory":        {archive: archived(t, entry{name: "Chart.yaml", content: "x"}), err: "not in a directory of its own"},
		"nothing":             {archive: archived(t), err: "there are no files in it"},
		"no gzip":             {archive: []byte("<html>secret</html>"), err: "it is not compressed by gzip"},
		"cut off":             {archive: archived(t, chartYAML)[:40], err: "the archive is corrupt or cut off"},
		"a large file":        {archive: archived(t, entry{name: "app/x", content: strings.Repeat("x", 4_001)}), err: "the file 'x' has more than 4000 bytes, the limit of --helm-chart-file-max-size"},
		"a bomb":              {archive: bomb(t, 60), err: "the files of the chart have more than 200000 bytes, which is ten times the limit of --helm-chart-max-size"},
		"a bomb in sub-chart": {archive: archived(t, entry{name: "app/charts/b.tgz", content: string(bomb(t, 51))}), err: "its sub-chart 'b.tgz': the files of the chart have more than 200000 bytes"},
		"no chart inside":     {archive: archived(t, entry{name: "app/charts/b.tgz", content: "x"}), err: "its sub-chart 'b.tgz': it is not compressed by gzip"},
		"deep":                {archive: nested(t, maxDepth+2), err: "more than 10 deep"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := small.budget().unpack(tc.archive, everything, 0)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			texts := map[string]string{}
			for name, content := range got {
				texts[name] = string(content)
			}
			if diff := cmp.Diff(tc.want, texts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// bomb is an archive of count files that are small when packed.
func bomb(t testing.TB, count int) []byte {
	t.Helper()
	entries := make([]entry, 0, count)
	for i := range count {
		entries = append(entries, entry{name: "b/" + strings.Repeat("x", i+1), content: strings.Repeat("0", 4_000)})
	}
	return archived(t, entries...)
}

// nested is an archive in archives.
func nested(t testing.TB, depth int) []byte {
	t.Helper()
	archive := archived(t, entry{name: "a/x", content: "x"})
	for range depth {
		archive = archived(t, entry{name: "a/charts/a.tgz", content: string(archive)})
	}
	return archive
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":        "apiVersion",
		"name: [": "cannot load 'Chart.yaml'",
		"apiVersion: v2\nname: a/b\nversion: 1\n":   "\"a/b\" is invalid",
		"apiVersion: v2\nname: a\nversion: one\n":   "\"one\" is invalid",
		"name: a\nversion: 1\ndependencies: [null]": "an entry of its dependencies is empty",
	} {
		if _, err := (files{chartFile: []byte(content)}).metadata(); err == nil || !strings.Contains(err.Error(), want) && content != "" {
			t.Errorf("%q: error %v, want %q", content, err, want)
		}
	}
	m, err := files{
		chartFile:        []byte("name: old\nversion: 1.0.0\n"),
		requirementsFile: []byte("dependencies:\n- name: x\n  version: 1\n  repository: https://x\n"),
	}.metadata()
	if err != nil || len(m.Dependencies) != 1 || m.APIVersion != "v1" {
		t.Errorf("%+v %v", m, err)
	}
}

func TestMergeValues(t *testing.T) {
	t.Parallel()
	content := files{
		"values.yaml": []byte("a: {b: 1, c: [1, 2]}\nd: x\n"),
		"prod.yaml":   []byte("a: {b: 2, c: [3]}\nd: null\ne: {f: 1}\n"),
		"list.yaml":   []byte("- secret\n"),
		"empty.yaml":  {},
	}
	tests := map[string]struct {
		paths  []string
		ignore bool
		want   string
		used   []string
		err    string
	}{
		"in order":        {paths: []string{"values.yaml", "./prod.yaml"}, want: "a:\n  b: 2\n  c:\n  - 3\nd: null\ne:\n  f: 1\n", used: []string{"values.yaml", "./prod.yaml"}},
		"the other order": {paths: []string{"prod.yaml", "values.yaml"}, want: "a:\n  b: 1\n  c:\n  - 1\n  - 2\nd: x\ne:\n  f: 1\n", used: []string{"prod.yaml", "values.yaml"}},
		"missing":         {paths: []string{"values.yaml", "none.yaml"}, err: "values files merge error: no values file found at path 'none.yaml'"},
		"ignored":         {paths: []string{"none.yaml"}, ignore: true, want: ""},
		"empty":           {paths: []string{"empty.yaml"}, want: "", used: []string{"empty.yaml"}},
		"a list":          {paths: []string{"list.yaml"}, err: "the values of 'list.yaml' are not a YAML map"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, used, err := mergeValues(tc.paths, content.read, tc.ignore)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil || string(got) != tc.want {
				t.Errorf("%s, error %v", got, err)
			}
			if diff := cmp.Diff(tc.used, used); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzArchive(f *testing.F) {
	sub, err := testkit.HelmChart{Name: "sub"}.Archive()
	if err != nil {
		f.Fatal(err)
	}
	chart, err := testkit.HelmChart{Name: "app", Values: "a: 1\n"}.With("charts/sub.tgz", string(sub)).ConfigMap("a", "b").Archive()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(chart)
	f.Add(archived(f, entry{name: "app/../x", content: "x"}))
	f.Add(nested(f, 3))
	f.Fuzz(func(t *testing.T, archive []byte) {
		content, err := small.budget().unpack(archive, everything, 0)
		if err != nil {
			return
		}
		for name := range content {
			if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "..") {
				t.Errorf("%q leads out", name)
			}
		}
		metadata, err := content.metadata()
		if err != nil || content.loads() != nil {
			return
		}
		packed, err := pack(metadata.Name, content)
		if err != nil {
			t.Fatal(err)
		}
		again, err := small.budget().unpack(packed, everything, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(content, again); diff != "" {
			t.Error(diff)
		}
	})
}
