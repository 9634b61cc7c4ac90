// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/pkg/apply"
	"github.com/weir-gitops/weir/pkg/health"
	"github.com/weir-gitops/weir/pkg/inventory"
)

// File is one file of the directory crds of a chart.
type File struct {
	Name string
	Data []byte
}

var definition = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// establishTimeout is how long a definition may take to be in effect.
const establishTimeout = 60 * time.Second

// noKind reports whether an error is that the cluster does not have a kind.
func noKind(err error) bool {
	return errors.As(err, new(*meta.NoKindMatchError)) || errors.As(err, new(*meta.NoResourceMatchError))
}

// Defined is what became of the definitions of a chart.
type Defined struct {
	// Written definitions, with apply.Created or apply.Configured.
	Written []Written
	// Ignored are objects of other kinds, which do not belong there. The message
	// that CRDs logs names them.
	Ignored []inventory.Ref
}

// CRDs writes the definitions of a chart as the policy says, with the labels of
// the owner, and returns when they are established. Create reads each, and
// applies those that do not exist; CreateReplace applies all. Nothing is ever
// deleted.
func (c *Client) CRDs(files []File, policy helmv2.CRDsPolicy) (Defined, error) {
	var out Defined
	switch policy {
	case helmv2.Skip:
		return out, nil
	case "", helmv2.Create, helmv2.CreateReplace:
	default:
		return out, fmt.Errorf("unknown CRDs policy %q; use Skip, Create or CreateReplace", policy)
	}
	definitions, ignored, err := definitionsIn(files)
	if err != nil {
		return out, err
	}
	out.Ignored = ignored
	if len(out.Ignored) > 0 {
		c.Log.Info("warning: the directory crds of the chart holds objects that are no CustomResourceDefinitions; they are ignored, and belong in templates",
			"objects", apply.Names(out.Ignored))
	}
	out.Written, err = c.each(Last(definitions), func(w *Written) error { return c.define(w, policy) })
	if err != nil {
		return out, err
	}
	var changed []*unstructured.Unstructured
	for _, w := range out.Written {
		if w.Action != "" {
			changed = append(changed, w.Object)
		}
	}
	return out, c.established(changed)
}

// definitionsIn returns the definitions in files, and what else is there.
func definitionsIn(files []File) (definitions []*unstructured.Unstructured, ignored []inventory.Ref, err error) {
	for _, file := range files {
		objects, err := Decode(bytes.NewReader(file.Data))
		if err != nil {
			return nil, nil, fmt.Errorf("read %s of the chart: %w", file.Name, err)
		}
		for _, obj := range objects {
			if obj.GroupVersionKind().GroupKind() != definition {
				ignored = append(ignored, inventory.RefOf(obj))
				continue
			}
			obj.SetNamespace("")
			definitions = append(definitions, obj)
		}
	}
	return definitions, ignored, nil
}

// Definitions returns what CRDs would write, and writes nothing.
func (c *Client) Definitions(ctx context.Context, files []File, policy helmv2.CRDsPolicy) ([]*unstructured.Unstructured, error) {
	if policy == helmv2.Skip {
		return nil, nil
	}
	all, _, err := definitionsIn(files)
	if err != nil || policy == helmv2.CreateReplace {
		return all, err
	}
	var missing []*unstructured.Unstructured
	for _, obj := range all {
		live, err := c.get(ctx, obj)
		if err != nil {
			return nil, err
		}
		if live == nil {
			missing = append(missing, obj)
		}
	}
	return missing, nil
}

func (c *Client) define(w *Written, policy helmv2.CRDsPolicy) error {
	live, err := c.get(c.context(), w.Object)
	if err != nil || live != nil && policy != helmv2.CreateReplace {
		return err
	}
	w.Action = apply.Configured
	if live == nil {
		w.Action = apply.Created
	}
	prepared, err := apply.PrepareVerbatim([]*unstructured.Unstructured{w.Object}, c.Owner, Labels(), Keys())
	if err != nil {
		return err
	}
	w.Live, err = c.client.Apply(c.context(), prepared[0])
	return err
}

// established returns when the definitions among objects are in effect, so that
// objects of the kinds that they define can be written.
func (c *Client) established(objects []*unstructured.Unstructured) error {
	var definitions []*unstructured.Unstructured
	for _, obj := range objects {
		if obj.GroupVersionKind().GroupKind() == definition {
			definitions = append(definitions, obj)
			c.refresh(definedBy(obj))
		}
	}
	if len(definitions) == 0 {
		return nil
	}
	err := c.await(request{
		what: "to be established", timeout: establishTimeout, failFast: true, objects: definitions,
		judge: func(_, live *unstructured.Unstructured) health.Result { return health.Of(live) },
	})
	for _, obj := range definitions {
		if err == nil {
			err = c.known(obj)
		}
	}
	return err
}

// known returns when the API server lists the kinds of a definition, which it
// does a moment after it calls that established.
func (c *Client) known(obj *unstructured.Unstructured) error {
	var missing error
	err := wait.PollUntilContextTimeout(c.context(), pollFresh, freshTimeout, true, func(context.Context) (bool, error) {
		missing = nil
		for gvk := range declaredBy(obj) {
			if _, err := c.client.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
				missing = err
			}
		}
		return missing == nil, nil
	})
	if err != nil && missing != nil {
		err = refused(obj, "wait", missing)
	}
	return c.cause(err)
}

// definedBy returns the kind that a definition defines.
func definedBy(obj *unstructured.Unstructured) schema.GroupKind {
	group, _, _ := unstructured.NestedString(obj.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(obj.Object, "spec", "names", "kind")
	return schema.GroupKind{Group: group, Kind: kind}
}

// Declared returns how the kinds that are defined among objects will be served:
// objects of them can be prepared before the cluster has the kind.
func Declared(objects []*unstructured.Unstructured) map[schema.GroupVersionKind]*meta.RESTMapping {
	declared := map[schema.GroupVersionKind]*meta.RESTMapping{}
	for _, obj := range objects {
		if obj.GroupVersionKind().GroupKind() == definition {
			maps.Copy(declared, declaredBy(obj))
		}
	}
	return declared
}

func declaredBy(obj *unstructured.Unstructured) map[schema.GroupVersionKind]*meta.RESTMapping {
	kind := definedBy(obj)
	plural, _, _ := unstructured.NestedString(obj.Object, "spec", "names", "plural")
	scope, _, _ := unstructured.NestedString(obj.Object, "spec", "scope")
	versions, _, _ := unstructured.NestedSlice(obj.Object, "spec", "versions")
	declared := map[schema.GroupVersionKind]*meta.RESTMapping{}
	for _, item := range versions {
		fields, _ := item.(map[string]any)
		name, _ := fields["name"].(string)
		if served, _ := fields["served"].(bool); name == "" || !served {
			continue
		}
		mapping := &meta.RESTMapping{
			Resource:         schema.GroupVersionResource{Group: kind.Group, Version: name, Resource: plural},
			GroupVersionKind: kind.WithVersion(name), Scope: meta.RESTScopeRoot,
		}
		if scope == "Namespaced" {
			mapping.Scope = meta.RESTScopeNamespace
		}
		declared[mapping.GroupVersionKind] = mapping
	}
	return declared
}
