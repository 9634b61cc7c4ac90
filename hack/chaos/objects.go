// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"regexp"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/hack/chaos/judge"
	"github.com/weir-gitops/weir/hack/platform"
)

// A watched is a kind of object in a namespace that nothing but the load is in.
type watched struct {
	resource  schema.GroupVersionResource
	namespace string
}

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	jobs        = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// appKinds, releaseKinds and modelKinds are what the three parts of the load
// consist of.
func appKinds() []watched {
	return []watched{{configMaps, apps}, {deployments, apps}, {jobs, apps}, {platform.HelmReleases, ties}}
}

func releaseKinds() []watched { return []watched{{configMaps, releases}} }

func modelKinds() []watched { return []watched{{configMaps, models}} }

func refOf(u *unstructured.Unstructured) judge.Ref {
	return judge.Ref{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// foreign reports whether an object is none of the load's.
func foreign(u *unstructured.Unstructured) bool { return u.GetName() == "kube-root-ca.crt" }

// contentOf is what Git decides about an object, in a form that is the same for
// a manifest and for what the API server makes of it.
func contentOf(u *unstructured.Unstructured) string {
	var part any
	switch u.GetKind() {
	case "ConfigMap":
		part, _, _ = unstructured.NestedMap(u.Object, "data")
	case helmv2.HelmReleaseKind:
		part, _, _ = unstructured.NestedMap(u.Object, "spec", "values")
	default:
		part = containersOf(u)
	}
	data, err := json.Marshal(part)
	if err != nil {
		return err.Error()
	}
	return string(data) + u.GetAnnotations()[commitMark]
}

// containersOf is the image and the environment of each container.
func containersOf(u *unstructured.Unstructured) []any {
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	var parts []any
	for _, item := range list {
		if container, ok := item.(map[string]any); ok {
			parts = append(parts, container["image"], container["env"])
		}
	}
	return parts
}

var tag = regexp.MustCompile(`:1\.0\.(\d+)`)

// numberOf is the commit, the version of the release or the model that an object
// is from, or 0.
func numberOf(u *unstructured.Unstructured) int {
	text := u.GetAnnotations()[commitMark]
	if image, found, _ := unstructured.NestedString(u.Object, "data", "image"); found {
		text = release(image)
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}

// release is the number of the model that a text names, as digits.
func release(text string) string {
	if found := tag.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

// isDone reports whether a Job has completed.
func isDone(u *unstructured.Unstructured) bool {
	if u.GetKind() != "Job" {
		return false
	}
	_, found, _ := unstructured.NestedString(u.Object, "status", "completionTime")
	return found
}
