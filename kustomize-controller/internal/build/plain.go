// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"maps"
	"regexp"
	"strings"
)

// entry is an object of a plan or a rendering. Its content is shared and must not be changed.
type entry struct {
	content map[string]any
	// origin is where the object comes from, or "" if that is not known.
	origin string
	// namespace is the one that the kustomizations in the artifact put the object into, or "". Only plain plans have it.
	namespace string
	// dollar tells that the object may hold variables.
	dollar bool
}

func (e *entry) size() int64 {
	return weigh(e.content) + int64(len(e.origin)+len(e.namespace)) + 64
}

// plainer builds without kustomize, where it is certain that kustomize would come to the same objects in the same order.
// That has been shown by comparing the two on random input with kustomize v0.21; a later kustomize has to be compared
// anew. Whatever is in doubt is left to kustomize.
type plainer struct {
	shapes map[string]*shape
	scopes map[string]map[string]scope
}

func newPlainer() plainer {
	return plainer{shapes: shapes(), scopes: scopes()}
}

// entries returns the objects as a plan keeps them, or false if one of them has to be left to kustomize.
func (p plainer) entries(sources []source) ([]entry, bool) {
	entries := make([]entry, 0, len(sources))
	seen := make(map[identity]bool, len(sources))
	for _, s := range sources {
		content, err := fromFreshNode(s.node)
		if err != nil || !p.certain(content) {
			return nil, false
		}
		// Two objects that differ in version or namespace only may still be one to kustomize.
		id := identify(content).withoutPlace()
		if seen[id] {
			return nil, false
		}
		seen[id] = true
		entries = append(entries, entry{content: content, origin: originOf(s.file, s.line), namespace: s.namespace, dollar: hasDollar(content)})
	}
	return entries, true
}

// certain tells whether kustomize would leave an object alone.
func (p plainer) certain(content map[string]any) bool {
	id := identify(content)
	if id.kind == "" || id.name == "" || id.version == "" || strings.HasSuffix(id.kind, "List") || id.kind == "Node" {
		return false
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok || isKustomization(id) {
		return false
	}
	if namespace, has := metadata["namespace"]; has {
		if text, ok := namespace.(string); !ok || text == "" {
			return false
		}
	}
	if annotations, has := metadata["annotations"]; has && !plainAnnotations(annotations) {
		return false
	}
	known, ok := p.shapes[id.kind]
	return !ok || known.fits(content)
}

// plainAnnotations tells whether kustomize, which writes all annotations anew, would write these. Its own ones control the
// build, and it removes them.
func plainAnnotations(value any) bool {
	annotations, ok := value.(map[string]any)
	if !ok || len(annotations) == 0 {
		return false
	}
	for key, item := range annotations {
		if _, ok := item.(string); !ok || key == "" || strings.Contains(key, "config.kubernetes.io/") {
			return false
		}
	}
	return true
}

// place returns the entries in the namespaces that the artifact gives them, or all in target if that is not empty. It
// returns false if an object has to be left to kustomize, which changes some kinds further.
func (p plainer) place(entries []entry, target string) ([]entry, bool) {
	placed := make([]entry, len(entries))
	for i, e := range entries {
		namespace := e.namespace
		if target != "" {
			namespace = target
		}
		placed[i] = e
		if namespace == "" {
			continue
		}
		if !plainName.MatchString(namespace) {
			return nil, false
		}
		switch p.scope(identify(e.content)) {
		case scopeUnknown:
			return nil, false
		case scopeCluster:
		case scopeNamespaced:
			placed[i].content = withNamespace(e.content, namespace)
		}
	}
	return placed, true
}

// plainName is what the name of a namespace looks like.
var plainName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

// scope tells where objects of a kind live, as kustomize takes it.
func (p plainer) scope(id identity) scope {
	apiVersion := id.version
	if id.group != "" {
		apiVersion = id.group + "/" + id.version
	}
	if known := p.scopes[apiVersion][id.kind]; known != scopeUnknown {
		return known
	}
	if builtin(id.group) || strings.HasSuffix(id.kind, "RoleBinding") {
		return scopeUnknown
	}
	switch id.kind {
	case "APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		// kustomize goes by the kind in parts.
		return scopeUnknown
	}
	return scopeNamespaced
}

// withNamespace returns content with another namespace. It shares everything else.
func withNamespace(content map[string]any, namespace string) map[string]any {
	metadata, _ := content["metadata"].(map[string]any)
	if current, _ := metadata["namespace"].(string); current == namespace {
		return content
	}
	placed, changed := maps.Clone(content), maps.Clone(metadata)
	changed["namespace"] = namespace
	placed["metadata"] = changed
	return placed
}

// isKustomization tells whether an object configures kustomize and is none for the cluster.
func isKustomization(id identity) bool {
	return strings.EqualFold(id.kind, "Kustomization") && id.group == "kustomize.config.k8s.io"
}
