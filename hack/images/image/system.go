// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	// user is who the program runs as: nobody, in a group of nobody's.
	user = "65534:65534"
	// bin is where the program is, and all that PATH names.
	bin = "usr/local/bin"
)

// systemFiles are what images have beside their program: a user who owns
// nothing, the certificates of public authorities, and a place for temporary
// files. There is no shell, no home and no package manager.
func systemFiles() []file {
	return []file{
		directory("etc/"),
		text("etc/group", "root:x:0:\nnobody:x:65534:\n"),
		text("etc/passwd", "root:x:0:0:root:/nonexistent:/nonexistent\nnobody:x:65534:65534:nobody:/nonexistent:/nonexistent\n"),
		directory("etc/ssl/"),
		directory("etc/ssl/certs/"),
		text("etc/ssl/certs/ca-certificates.crt", rootsPEM()),
		{name: "tmp/", mode: 0o1777},
	}
}

// rootsPEM returns the certificates of the authorities that Mozilla trusts.
// Those that it trusts with reservations are left out, because a file cannot
// state them.
func rootsPEM() string {
	var b strings.Builder
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Builder takes everything
		}
	}
	return b.String()
}

// systemLayer packs systemFiles. All images share it.
func systemLayer() (*packed, error) {
	return newPacked(systemFiles())
}

// WriteSystem puts what images have beside their program into dir, for those who
// make images by other means.
func WriteSystem(dir string) error {
	for _, f := range systemFiles() {
		if err := f.put(filepath.Join(dir, f.name)); err != nil {
			return fmt.Errorf("write the files of an image into %s: %w", dir, err)
		}
	}
	return nil
}

// put writes the file to path, with its mode whatever the umask is.
func (f file) put(path string) error {
	if f.content == nil {
		return errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, os.FileMode(f.mode&0o777)|sticky(f.mode)))
	}
	content, err := io.ReadAll(f.content)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(path, bytes.Clone(content), 0o644), os.Chmod(path, os.FileMode(f.mode)))
}

func sticky(mode int64) os.FileMode {
	if mode&0o1000 != 0 {
		return os.ModeSticky
	}
	return 0
}
