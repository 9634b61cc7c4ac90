// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
)

// Fetch returns the bytes of an artifact, from where its URL says.
func (s *Suite) Fetch(a *fluxmeta.Artifact) []byte {
	s.Helper()
	body, etag := s.FetchURL(a.URL)
	if etag != `"`+a.Digest+`"` {
		s.Errorf("ETag %s, want the digest %s", etag, a.Digest)
	}
	return body
}

// FetchURL returns what is at a URL, and its ETag.
func (s *Suite) FetchURL(url string) (body []byte, etag string) {
	s.Helper()
	resp, err := http.Get(url)
	s.Must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("%s: %s", url, resp.Status)
	}
	body, err = io.ReadAll(resp.Body)
	s.Must(err)
	return body, resp.Header.Get("ETag")
}

// Download returns the files of an artifact that is an archive.
func (s *Suite) Download(a *fluxmeta.Artifact) map[string]string {
	s.Helper()
	files, err := Unpack(bytes.NewReader(s.Fetch(a)))
	s.Must(err)
	return files
}

// Unpack returns the regular files of an archive.
func Unpack(r io.Reader) (map[string]string, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(zip)
	files := map[string]string{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[header.Name] = string(data)
	}
}
