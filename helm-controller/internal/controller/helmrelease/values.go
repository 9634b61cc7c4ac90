// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helmrelease

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/state"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/watch"
)

// mergeValues reads what spec.valuesFrom refers to, in the namespace of the
// HelmRelease, and merges it with spec.values.
func (c *Controller) mergeValues(ctx context.Context, s *scope) error {
	secrets := &secrets{}
	read := secrets.noting(ReadValues(c.Client, s.obj.Namespace))
	merged, reads, err := values.Merge(ctx, read, helm.SetValue, s.obj)
	c.followRead(s, reads)
	if err != nil {
		return reconcile.Fail(helmv2.ValuesErrorReason, err)
	}
	s.values, s.secrets = merged, secrets.redact()
	return nil
}

// ReadValues reads ConfigMaps and Secrets of a namespace.
func ReadValues(reader client.Reader, namespace string) values.Reader {
	return func(ctx context.Context, kind, name string) (map[string][]byte, string, error) {
		key := client.ObjectKey{Namespace: namespace, Name: name}
		if kind == "Secret" {
			secret := &corev1.Secret{}
			err := reader.Get(ctx, key, secret)
			return secret.Data, watch.VersionOf(secret), err
		}
		configMap := &corev1.ConfigMap{}
		if err := reader.Get(ctx, key, configMap); err != nil {
			return nil, "", err
		}
		data := make(map[string][]byte, len(configMap.Data)+len(configMap.BinaryData))
		maps.Copy(data, configMap.BinaryData)
		for key, value := range configMap.Data {
			data[key] = []byte(value)
		}
		return data, watch.VersionOf(configMap), nil
	}
}

// Bounds of what is taken out of texts: shorter texts are words that anybody
// writes, and more of them would cost more than they are worth.
const (
	minSecret  = 6
	maxSecrets = 4000
)

// secrets are the texts that Secrets hold.
type secrets struct{ texts []string }

// noting returns a Reader that notes what Secrets hold.
func (n *secrets) noting(read values.Reader) values.Reader {
	return func(ctx context.Context, kind, name string) (map[string][]byte, string, error) {
		data, version, err := read(ctx, kind, name)
		if kind == "Secret" && err == nil {
			for _, value := range data {
				n.note(string(value))
			}
		}
		return data, version, err
	}
}

// note notes a text or, if it is a YAML document of more than a text, the texts
// in it.
func (n *secrets) note(text string) {
	var document any
	if yaml.Unmarshal([]byte(text), &document) == nil {
		switch document.(type) {
		case map[string]any, []any:
			n.walk(document)
			return
		}
	}
	n.add(strings.TrimSpace(text))
}

func (n *secrets) walk(value any) {
	switch value := value.(type) {
	case string:
		n.add(value)
	case float64:
		n.add(fmt.Sprint(value))
		n.add(strconv.FormatFloat(value, 'f', -1, 64))
	case []any:
		for _, item := range value {
			n.walk(item)
		}
	case map[string]any:
		for _, item := range value {
			n.walk(item)
		}
	}
}

// add adds a text in the forms in which errors show texts: as it is, quoted, line
// by line, and as the API has the content of Secrets.
func (n *secrets) add(text string) {
	escaped := strconv.Quote(text)
	escaped = escaped[1 : len(escaped)-1]
	forms := []string{text, escaped, strings.ReplaceAll(escaped, `\"`, `"`), base64.StdEncoding.EncodeToString([]byte(text))}
	if strings.Contains(text, "\n") {
		forms = slices.AppendSeq(forms, strings.Lines(text))
	}
	for i, form := range forms {
		form = strings.TrimSpace(form)
		if len(form) < minSecret || len(text) < minSecret || i > 0 && form == text {
			continue
		}
		if len(n.texts) < maxSecrets {
			n.texts = append(n.texts, form)
		}
	}
}

// redact returns what takes the texts out of another one, or nil if there are
// none. The longest come first: they may hold others.
func (n *secrets) redact() func(string) string {
	if len(n.texts) == 0 {
		return nil
	}
	slices.SortFunc(n.texts, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	pairs := make([]string, 0, 2*len(n.texts))
	for _, text := range slices.Compact(n.texts) {
		pairs = append(pairs, text, values.Masked)
	}
	return strings.NewReplacer(pairs...).Replace
}

// desired sums up what the spec, the chart and the values come to.
func (c *Controller) desired(s *scope, ociDigest string) state.Desired {
	want := state.Desired{
		Target: state.Target{
			Name: s.obj.GetReleaseName(), Namespace: s.obj.GetReleaseNamespace(), StorageNamespace: s.obj.GetStorageNamespace(),
		},
		Chart:        release.Chart{Name: s.chart.Name, Version: s.chart.Version, AppVersion: s.chart.AppVersion},
		OCIDigest:    ociDigest,
		ConfigDigest: release.ConfigDigest(s.values),
		Values:       s.values,
		Policy:       c.Options.Policy,
	}
	if len(s.obj.Spec.PostRenderers) > 0 {
		want.PostRenderersDigest = release.PostRenderersDigest(s.obj.Spec.PostRenderers)
	}
	if s.obj.Spec.CommonMetadata != nil {
		want.CommonMetadataDigest = release.CommonMetadataDigest(s.obj.Spec.CommonMetadata)
	}
	return want
}
