// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	spdxID = "SPDXRef-"
	// unknown is what SPDX has for what a document does not claim.
	unknown = "NOASSERTION"
	// ours is the licence of Weir's own modules, which begin with home.
	ours = "Apache-2.0"
	home = "github.com/weir-gitops/weir/"
)

// document is an SPDX 2.3 document. The fields are those of its JSON schema, as
// far as there is something to say.
type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []component    `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

// component is a package of SPDX.
type component struct {
	ID               string      `json:"SPDXID"`
	Name             string      `json:"name"`
	Version          string      `json:"versionInfo,omitempty"`
	Supplier         string      `json:"supplier,omitempty"`
	DownloadLocation string      `json:"downloadLocation"`
	FilesAnalyzed    bool        `json:"filesAnalyzed"`
	LicenseConcluded string      `json:"licenseConcluded"`
	LicenseDeclared  string      `json:"licenseDeclared"`
	Copyright        string      `json:"copyrightText"`
	Purpose          string      `json:"primaryPackagePurpose"`
	SourceInfo       string      `json:"sourceInfo,omitempty"`
	Checksums        []checksum  `json:"checksums,omitempty"`
	References       []reference `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// newDocument says what is in an image: the program with the SHA-256 sum, the
// modules that are linked into it, and the certificates. It depends on nothing
// else, so the same image has the same document.
func newDocument(p *program, digest v1.Hash, sum string, info *buildinfo.BuildInfo) *document {
	o := p.options
	d := &document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: spdxID + "DOCUMENT",
		Name:      fmt.Sprintf("%s %s for %s", p.name, o.Version, o.Platform),
		Namespace: fmt.Sprintf("%s/sbom/%s/%s", Source, p.name, strings.ReplaceAll(digest.String(), ":", "-")),
		Creation:  creation{Created: "1970-01-01T00:00:00Z", Creators: []string{"Organization: The Weir Authors", "Tool: weir-images"}},
	}
	img := d.add(component{
		Name: p.name, Version: o.Version, Purpose: "CONTAINER", LicenseDeclared: ours,
		Checksums: []checksum{{Algorithm: "SHA256", Value: digest.Hex}},
		References: purl(fmt.Sprintf("pkg:oci/%s@%s?arch=%s&tag=%s", p.name,
			url.QueryEscape(digest.String()), o.Platform.Architecture, url.QueryEscape(o.Version))),
	})
	d.relate(d.ID, "DESCRIBES", img)
	main := component{
		Name: info.Path, Version: o.Version, Purpose: "APPLICATION", LicenseDeclared: ours,
		Checksums:  []checksum{{Algorithm: "SHA256", Value: sum}},
		References: purl("pkg:golang/" + info.Path + "@" + url.QueryEscape(o.Version)), SourceInfo: "/" + bin + "/" + p.name,
	}
	program := d.add(main)
	d.relate(img, "CONTAINS", program)
	d.relate(program, "DEPENDS_ON", d.add(standardLibrary(info.GoVersion)))
	for _, dep := range info.Deps {
		d.relate(program, "DEPENDS_ON", d.add(moduleComponent(dep, o.Version, "LIBRARY")))
	}
	roots := moduleComponent(p.roots, o.Version, "FILE")
	roots.SourceInfo += "; the certificates in /etc/ssl/certs are its data"
	d.relate(img, "CONTAINS", d.add(roots))
	return d
}

// add appends a component and returns the identifier that it got.
func (d *document) add(c component) string {
	c.ID = fmt.Sprintf("%sPackage-%d", spdxID, len(d.Packages))
	c.DownloadLocation = cmp.Or(c.DownloadLocation, unknown)
	c.LicenseConcluded, c.Copyright = unknown, unknown
	c.LicenseDeclared = cmp.Or(c.LicenseDeclared, unknown)
	d.Packages = append(d.Packages, c)
	return c.ID
}

func (d *document) relate(element, how, related string) {
	d.Relationships = append(d.Relationships, relationship{Element: element, Type: how, Related: related})
}

func (d *document) marshal() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(d)
	return b.Bytes(), err
}

// moduleComponent describes a Go module. Modules of the checkout itself have no
// version of their own: theirs is the image's.
func moduleComponent(m *debug.Module, version, purpose string) component {
	if m.Replace != nil && m.Replace.Version != "" {
		m = m.Replace
	}
	c := component{Name: m.Path, Version: m.Version, Purpose: purpose}
	if strings.HasPrefix(m.Path, home) {
		c.Version, c.LicenseDeclared = version, ours
	} else {
		c.DownloadLocation = "https://proxy.golang.org/" + escape(m.Path) + "/@v/" + escape(m.Version) + ".zip"
	}
	c.References = purl("pkg:golang/" + m.Path + "@" + url.QueryEscape(c.Version))
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) > 0 {
		c.Checksums = []checksum{{Algorithm: "SHA256", Value: hex.EncodeToString(sum)}}
		c.SourceInfo = "go.sum: " + m.Sum
	}
	return c
}

// standardLibrary is linked into every program. A version is "go1.27.4".
func standardLibrary(version string) component {
	number := strings.TrimPrefix(version, "go")
	return component{
		Name: "stdlib", Version: number, Purpose: "LIBRARY", LicenseDeclared: "BSD-3-Clause", DownloadLocation: "https://go.dev/dl/" + version + ".src.tar.gz",
		References: purl("pkg:golang/stdlib@" + number), SourceInfo: "compiled and linked by " + version,
	}
}

func purl(locator string) []reference {
	return []reference{{Category: "PACKAGE-MANAGER", Type: "purl", Locator: locator}}
}

// escape writes a path or a version as module proxies do: "!a" stands for "A".
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
