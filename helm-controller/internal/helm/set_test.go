// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
)

// fluxCase is values as Flux has merged them: the file was made by running the
// library of Flux 2.9 on random references. Another digest of the same values
// would make every release a new revision at the takeover.
type fluxCase struct {
	Refs   []helmv2.ValuesReference     `json:"refs"`
	Data   map[string]map[string]string `json:"data"`
	Values string                       `json:"values"`
	Merged map[string]any               `json:"merged"`
	Digest string                       `json:"digest"`
	Failed bool                         `json:"failed"`
}

func (c fluxCase) read(_ context.Context, kind, name string) (map[string][]byte, string, error) {
	content, ok := c.Data[kind+"/"+name]
	if !ok {
		return nil, "", apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
	}
	data := map[string][]byte{}
	for key, value := range content {
		data[key] = []byte(value)
	}
	return data, "1", nil
}

func TestValuesEqualFlux(t *testing.T) {
	file, err := os.Open("../values/testdata/flux.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines, seen := bufio.NewScanner(file), 0
	lines.Buffer(nil, 1<<20)
	for ; lines.Scan(); seen++ {
		var c fluxCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		obj := &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: helmv2.HelmReleaseSpec{ValuesFrom: c.Refs}}
		if c.Values != "" {
			obj.Spec.Values = &apiextensionsv1.JSON{Raw: []byte(c.Values)}
		}
		merged, _, err := values.Merge(t.Context(), c.read, helm.SetValue, obj)
		if (err != nil) != c.Failed {
			t.Errorf("case %d: the error is %v, and Flux failed: %t\n%s", seen, err, c.Failed, lines.Text())
		}
		if err != nil || c.Failed {
			continue
		}
		encoded, err := json.Marshal(merged)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.Merged, got); diff != "" {
			t.Errorf("case %d (-Flux +ours):\n%s\n%s", seen, diff, lines.Text())
		}
		if got := release.ConfigDigest(merged); got != c.Digest {
			t.Errorf("case %d: the digest is %s, and Flux's %s\n%s", seen, got, c.Digest, lines.Text())
		}
	}
	if err := lines.Err(); err != nil || seen != 400 {
		t.Errorf("%d cases were read, %v", seen, err)
	}
}

// FuzzTargetPath sets any value at any path: it is set or refused, without a
// panic, in bounded memory, and no error shows the value.
func FuzzTargetPath(f *testing.F) {
	f.Add("a.b[0].c", "value", true, `{"a":{"b":[{"c":1}]}}`)
	f.Add(`a\.b[99999]`, "{x,y},z=1", false, `{"a":[]}`)
	f.Add("[0]", "", false, "")
	f.Fuzz(func(t *testing.T, path, value string, literal bool, inline string) {
		if path == "" || len(path) > 250 {
			return // The definition refuses it.
		}
		c := fluxCase{Data: map[string]map[string]string{"Secret/s": {"values.yaml": "marker" + value}}}
		obj := &helmv2.HelmRelease{Spec: helmv2.HelmReleaseSpec{ValuesFrom: []helmv2.ValuesReference{{Kind: "Secret", Name: "s", TargetPath: path, Literal: literal}}}}
		if inline != "" {
			obj.Spec.Values = &apiextensionsv1.JSON{Raw: []byte(inline)}
		}
		_, _, err := values.Merge(t.Context(), c.read, helm.SetValue, obj)
		if err != nil && !strings.Contains(path, "marker") && strings.Contains(err.Error(), "marker") {
			t.Errorf("the error shows the value: %v", err)
		}
	})
}
