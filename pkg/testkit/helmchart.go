// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Media types of charts in a registry.
const (
	helmConfig  = "application/vnd.cncf.helm.config.v1+json"
	helmContent = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// HelmDependency is a chart that another one asks for in its Chart.yaml.
type HelmDependency struct {
	Name       string   `json:"name"`
	Version    string   `json:"version,omitempty"`
	Repository string   `json:"repository,omitempty"`
	Condition  string   `json:"condition,omitempty"`
	Tags       []string `json:"tags,omitempty"`
	Alias      string   `json:"alias,omitempty"`
}

// HelmChart is a chart to build. The methods that add something return a copy.
type HelmChart struct {
	// Name is required. Version is 0.1.0 if empty.
	Name, Version string
	// AppVersion, KubeVersion, Type and Description go into Chart.yaml if set.
	AppVersion, KubeVersion, Type, Description string
	// Dependencies are listed in Chart.yaml.
	Dependencies []HelmDependency
	// Values is the text of values.yaml, which is left out if it is empty.
	Values string
	// Subcharts are put into charts/ as directories.
	Subcharts []HelmChart
	// Extra holds further files by path, such as "templates/a.yaml". It may
	// replace files of the names above, Chart.yaml too.
	Extra map[string]string
}

func (c HelmChart) version() string {
	if c.Version == "" {
		return "0.1.0"
	}
	return c.Version
}

// FileName is what archives of the chart are called.
func (c HelmChart) FileName() string { return c.Name + "-" + c.version() + ".tgz" }

// With returns the chart with one more file.
func (c HelmChart) With(path, content string) HelmChart {
	c.Extra = maps.Clone(c.Extra)
	if c.Extra == nil {
		c.Extra = map[string]string{}
	}
	c.Extra[path] = content
	return c
}

// ConfigMap returns the chart with a template of the ConfigMap
// "<release>-<name>" that has one key, "value". The value is a template too.
func (c HelmChart) ConfigMap(name, value string) HelmChart {
	return c.With("templates/"+name+".yaml", helmConfigMap(name, "", value))
}

// Hook returns the chart with a hook: a ConfigMap as of ConfigMap that is
// created at the events, such as "pre-install,pre-upgrade", in the order of the
// weights, and replaced the next time.
func (c HelmChart) Hook(name, events string, weight int, value string) HelmChart {
	annotations := fmt.Sprintf("  annotations:\n    helm.sh/hook: %s\n    helm.sh/hook-weight: %q\n", events, fmt.Sprint(weight))
	return c.With("templates/"+name+".yaml", helmConfigMap(name, annotations, value))
}

// Test returns the chart with a test: a pod of an image that succeeds by ending
// with status 0.
func (c HelmChart) Test(name, image string, command ...string) HelmChart {
	quoted, _ := json.Marshal(command) // a slice of strings
	return c.With("templates/tests/"+name+".yaml", fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-%s
  namespace: {{ .Release.Namespace }}
  annotations:
    helm.sh/hook: test
spec:
  restartPolicy: Never
  containers:
    - name: test
      image: %s
      command: %s
`, name, image, quoted))
}

// CRD returns the chart with a CustomResourceDefinition in crds/, for a
// namespaced kind of the group with a free-form spec in version v1.
func (c HelmChart) CRD(group, kind string) HelmChart {
	singular := strings.ToLower(kind)
	return c.With("crds/"+singular+".yaml", fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[2]ss.%[1]s
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, listKind: %[3]sList, plural: %[2]ss, singular: %[2]s}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
`, group, singular, kind))
}

func helmConfigMap(name, annotations, value string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-%s
  namespace: {{ .Release.Namespace }}
%sdata:
  value: "%s"
`, name, annotations, value)
}

// Files returns the files of the chart by path, as in a directory that holds
// it.
func (c HelmChart) Files() (map[string]string, error) {
	metadata, err := yaml.Marshal(c.metadata())
	if err != nil {
		return nil, fmt.Errorf("describe chart %s: %w", c.Name, err)
	}
	files := map[string]string{"Chart.yaml": string(metadata)}
	if c.Values != "" {
		files["values.yaml"] = c.Values
	}
	for _, sub := range c.Subcharts {
		inner, err := sub.Files()
		if err != nil {
			return nil, err
		}
		for path, content := range inner {
			files["charts/"+sub.Name+"/"+path] = content
		}
	}
	maps.Copy(files, c.Extra)
	return files, nil
}

func (c HelmChart) metadata() map[string]any {
	metadata := map[string]any{"apiVersion": "v2", "name": c.Name, "version": c.version()}
	for key, value := range map[string]string{
		"appVersion": c.AppVersion, "kubeVersion": c.KubeVersion, "type": c.Type, "description": c.Description,
	} {
		if value != "" {
			metadata[key] = value
		}
	}
	if len(c.Dependencies) > 0 {
		metadata["dependencies"] = c.Dependencies
	}
	return metadata
}

// Archive returns the chart as a .tgz; the same chart makes the same bytes.
func (c HelmChart) Archive() ([]byte, error) {
	files, err := c.Files()
	if err != nil {
		return nil, err
	}
	inside := make(map[string]string, len(files))
	for path, content := range files {
		inside[c.Name+"/"+path] = content
	}
	return HelmArchive(inside)
}

// HelmArchive returns a .tgz of any files by path, whether they are a chart or
// not.
func HelmArchive(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(files[path]))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
		if _, err := archive.Write([]byte(files[path])); err != nil {
			return nil, fmt.Errorf("archive %s: %w", path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("close the archive: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("close the archive: %w", err)
	}
	return out.Bytes(), nil
}

// PushChart stores a chart in "<parent>/<name of the chart>", tagged with its
// version in the way of Helm, and returns the digest of its manifest.
func (r *Registry) PushChart(parent string, chart HelmChart) (string, error) {
	archive, err := chart.Archive()
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(chart.metadata())
	if err != nil {
		return "", fmt.Errorf("describe chart %s: %w", chart.Name, err)
	}
	repo := strings.Trim(parent+"/"+chart.Name, "/")
	desc, err := r.PushArtifact(repo, strings.ReplaceAll(chart.version(), "+", "_"), RegistryArtifact{
		ConfigType: helmConfig, Config: string(config), LayerType: helmContent, Layers: []string{string(archive)},
		Annotations: map[string]string{
			"org.opencontainers.image.title":   chart.Name,
			"org.opencontainers.image.version": chart.version(),
		},
	})
	return desc.Digest, err
}
