// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/yaml"
)

// HelmEntry is one version of a chart in the index of a repository.
type HelmEntry struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	AppVersion  string   `json:"appVersion,omitempty"`
	KubeVersion string   `json:"kubeVersion,omitempty"`
	Description string   `json:"description,omitempty"`
	Digest      string   `json:"digest,omitempty"`
	Created     string   `json:"created,omitempty"`
	Type        string   `json:"type,omitempty"`
	URLs        []string `json:"urls"`
}

func (e HelmEntry) same(other HelmEntry) bool {
	return e.Name == other.Name && e.Version == other.Version
}

// HelmIndex returns the index.yaml of the entries; the same entries make the
// same bytes.
func HelmIndex(entries ...HelmEntry) ([]byte, error) {
	charts := map[string][]map[string]any{}
	for _, entry := range entries {
		raw, err := yaml.Marshal(entry)
		if err != nil {
			return nil, fmt.Errorf("write an index: %w", err)
		}
		fields := map[string]any{}
		if err := yaml.Unmarshal(raw, &fields); err != nil {
			return nil, fmt.Errorf("write an index: %w", err)
		}
		fields["apiVersion"] = "v2"
		charts[entry.Name] = append(charts[entry.Name], fields)
	}
	return yaml.Marshal(map[string]any{"apiVersion": "v1", "entries": charts, "generated": "2026-01-01T00:00:00Z"})
}

// HelmLargeIndex returns an index of at least size bytes in the way of the
// large public ones: charts of 100 versions each, named "chart-0", "chart-1"
// and so on, with versions from 0.0.0 to 0.99.0.
func HelmLargeIndex(size int) []byte {
	var out bytes.Buffer
	out.WriteString("apiVersion: v1\nentries:\n")
	for chart := 0; out.Len() < size; chart++ {
		fmt.Fprintf(&out, "  chart-%d:\n", chart)
		for version := 99; version >= 0; version-- {
			fmt.Fprintf(&out, `  - annotations:
      category: Infrastructure
      licenses: Apache-2.0
    apiVersion: v2
    appVersion: 1.%[2]d.0
    created: "2026-01-01T00:00:00.000000000Z"
    dependencies:
    - name: common
      repository: oci://registry.example.com/charts
      tags:
      - platform-common
      version: 2.x.x
    description: The chart of number %[1]d is one of very many that a repository lists, and nobody reads all of them.
    digest: %064[1]d
    home: https://charts.example.com/chart-%[1]d
    icon: https://charts.example.com/chart-%[1]d/icon.png
    keywords:
    - platform
    - chart
    maintainers:
    - name: Example
      url: https://example.com/charts
    name: chart-%[1]d
    sources:
    - https://example.com/charts/tree/main/chart-%[1]d
    urls:
    - charts/chart-%[1]d-0.%[2]d.0.tgz
    version: 0.%[2]d.0
`, chart, version)
		}
	}
	out.WriteString("generated: \"2026-01-01T00:00:00Z\"\n")
	return out.Bytes()
}
