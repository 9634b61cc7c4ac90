// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gitops/weir/source-controller/internal/artifact"
)

// pack makes a layer of headers; a file has the size of its content.
func pack(t *testing.T, headers []tar.Header, content map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for i := range headers {
		h := headers[i]
		text := content[h.Name]
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := archive.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "scratch"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// list returns the paths of a tree as "path kind content".
func list(t *testing.T, tree artifact.Tree) []string {
	t.Helper()
	var got []string
	err := tree(t.Context(), func(e artifact.Entry) error {
		if e.Dir {
			got = append(got, e.Path+" dir")
			return nil
		}
		size, content, err := e.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		data, err := io.ReadAll(content)
		if err != nil || int64(len(data)) != size {
			return fmt.Errorf("%d bytes of %d, %w", len(data), size, err)
		}
		kind := "file"
		if e.Executable {
			kind = "program"
		}
		got = append(got, e.Path+" "+kind+" "+string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func file(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }

func TestExtract(t *testing.T) {
	t.Parallel()
	blob := pack(t, []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./"},
		file("b.yaml"), file("./a/z"), file("a/b/c"), file("a.yaml"),
		{Typeflag: tar.TypeDir, Name: "empty/", Mode: 0},
		{Typeflag: tar.TypeReg, Name: "run.sh", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "/etc/passwd"},
		{Typeflag: tar.TypeSymlink, Name: "a/inside", Linkname: "z"},
		file("b.yaml"),
	}, map[string]string{"b.yaml": "b", "./a/z": "z", "a/b/c": "c", "a.yaml": "a", "run.sh": "x"})
	tree, err := Extract(t.Context(), bytes.NewReader(blob), scratch(t), Limits{Bytes: 6})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a dir", "a/b dir", "a/b/c file c", "a/z file z", "a.yaml file a", "b.yaml file b", "empty dir", "run.sh program x",
	}
	for range 2 { // A tree can be walked again.
		if diff := cmp.Diff(want, list(t, tree)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestExtractRefuses(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0", 100_000)
	deep := strings.Repeat("d/", 50)
	tests := map[string]struct {
		headers  []tar.Header
		raw      []byte
		limits   Limits
		tooLarge bool
		want     string
	}{
		"absolute":         {headers: []tar.Header{file("/etc/passwd")}, want: `tar contained invalid name error "/etc/passwd"`},
		"parent":           {headers: []tar.Header{file("../x")}, want: `tar contained invalid name error "../x"`},
		"parent inside":    {headers: []tar.Header{file("a/../../x")}, want: `invalid name error "a/../../x"`},
		"parent itself":    {headers: []tar.Header{{Typeflag: tar.TypeDir, Name: ".."}}, want: `invalid name error ".."`},
		"backslash":        {headers: []tar.Header{file(`a\..\x`)}, want: "invalid name error"},
		"hard link":        {headers: []tar.Header{{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}}, want: `tar file entry "a" contained unsupported file type`},
		"device":           {headers: []tar.Header{{Typeflag: tar.TypeChar, Name: "a"}}, want: "unsupported file type"},
		"link in the way":  {headers: []tar.Header{file("a"), file("a/b")}, want: `"a" is both a file and a directory`},
		"file for a dir":   {headers: []tar.Header{file("a/b"), file("a")}, want: `"a" is both a file and a directory`},
		"long name":        {headers: []tar.Header{file(strings.Repeat("a/", 3000) + "b")}, want: "invalid name"},
		"bytes":            {headers: []tar.Header{file("big"), file("big2")}, limits: Limits{Bytes: 150_000}, tooLarge: true, want: "its files have more than 150000 bytes, the limit of --artifact-max-size"},
		"entries":          {headers: []tar.Header{file("a"), file("b"), file("c")}, limits: Limits{Bytes: 1, Entries: 2}, tooLarge: true, want: "it has more than 2 files and directories"},
		"implied dirs":     {headers: []tar.Header{file(deep + "a")}, limits: Limits{Bytes: 1, Entries: 40}, tooLarge: true, want: "it has more than 40 files and directories"},
		"same name":        {headers: []tar.Header{file("big"), file("big"), file("big")}, limits: Limits{Bytes: 250_000}, tooLarge: true, want: "250000 bytes"},
		"no gzip":          {raw: []byte("plain"), want: "requires gzip-compressed body"},
		"empty":            {raw: nil, want: "requires gzip-compressed body"},
		"no tar":           {raw: zipped(t, []byte(strings.Repeat("x", 1024))), want: "tar error"},
		"zeros in an pax":  {raw: zipped(t, hugeSkipped(t)), limits: Limits{Bytes: 10, Entries: 1}, tooLarge: true, want: "more than 10 bytes"},
		"cut in its midst": {raw: pack(t, []tar.Header{file("big")}, map[string]string{"big": big})[:60], want: "unexpected EOF"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.headers != nil {
				tc.raw = pack(t, tc.headers, map[string]string{"big": big, "big2": big})
			}
			if tc.limits.Bytes == 0 {
				tc.limits.Bytes = 1 << 20
			}
			_, err := Extract(t.Context(), bytes.NewReader(tc.raw), scratch(t), tc.limits)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if errors.Is(err, ErrTooLarge) != tc.tooLarge {
				t.Errorf("error %v; too large: %t", err, tc.tooLarge)
			}
		})
	}
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// hugeSkipped is an archive with global headers that nobody looks at.
func hugeSkipped(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	for range 20 {
		archive := tar.NewWriter(&out)
		err := archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"comment": strings.Repeat("0", 900_000)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
