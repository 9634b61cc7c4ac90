// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// fileRef is a place of a kustomization that names a file or may hold the text itself.
type fileRef struct {
	field string
	// entry names a file, or is text if it could be either.
	entry string
	// data is set for a file that is not parsed as YAML, but taken as it is.
	data bool
}

// fileRefs lists the files that a kustomization has kustomize read, besides those that hold objects and directories.
func fileRefs(k *types.Kustomization) []fileRef {
	var refs []fileRef
	add := func(field string, entries ...string) {
		for _, entry := range entries {
			if entry != "" {
				refs = append(refs, fileRef{field: field, entry: entry})
			}
		}
	}
	add("crds", k.Crds...)
	add("configurations", k.Configurations...)
	add("openapi", k.OpenAPI["path"])
	for _, p := range k.Patches {
		add("patches", p.Path)
	}
	for _, p := range k.PatchesJson6902 {
		add("patchesJson6902", p.Path)
	}
	for _, p := range k.PatchesStrategicMerge {
		add("patchesStrategicMerge", string(p))
	}
	for _, r := range k.Replacements {
		add("replacements", r.Path)
	}
	parsed := len(refs)
	for _, g := range k.ConfigMapGenerator {
		addSources(add, "configMapGenerator", g.KvPairSources)
	}
	for _, g := range k.SecretGenerator {
		addSources(add, "secretGenerator", g.KvPairSources)
	}
	for i := range refs[parsed:] {
		refs[parsed+i].data = true
	}
	return refs
}

func addSources(add func(string, ...string), field string, sources types.KvPairSources) {
	for _, source := range sources.FileSources {
		add(field, afterKey(source))
	}
	add(field, sources.EnvSources...)
	add(field, sources.EnvSource)
}

// afterKey returns the path of a generator's key=path.
func afterKey(source string) string {
	if _, file, ok := strings.Cut(source, "="); ok {
		return file
	}
	return source
}

// inlineTexts lists the YAML texts that a kustomization may hold, which kustomize parses like files.
func inlineTexts(k *types.Kustomization) []fileRef {
	var texts []fileRef
	for _, p := range k.Patches {
		texts = append(texts, fileRef{field: "patches", entry: p.Patch})
	}
	for _, p := range k.PatchesJson6902 {
		texts = append(texts, fileRef{field: "patchesJson6902", entry: p.Patch})
	}
	for _, p := range k.PatchesStrategicMerge {
		texts = append(texts, fileRef{field: "patchesStrategicMerge", entry: string(p)})
	}
	return append(texts, plugins(k)...)
}

// plugins lists the configurations of generators, transformers and validators: text, a file or a directory.
func plugins(k *types.Kustomization) []fileRef {
	var refs []fileRef
	for _, field := range []struct {
		name    string
		entries []string
	}{{"generators", k.Generators}, {"transformers", k.Transformers}, {"validators", k.Validators}} {
		for _, entry := range field.entries {
			refs = append(refs, fileRef{field: field.name, entry: entry})
		}
	}
	return refs
}

// pluginFiles lists the files that the configuration of a built-in generator or transformer names.
func pluginFiles(node *kyaml.RNode) []string {
	content, err := node.Map()
	if err != nil {
		return nil
	}
	var files []string
	collectFiles(content, &files)
	return files
}

func collectFiles(value any, files *[]string) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			collectFiles(item, files)
		}
	case map[string]any:
		for key, item := range v {
			// kustomize decodes these without regard to case.
			switch strings.ToLower(key) {
			case "path", "paths", "files", "env", "envs", "targetfilepath":
				collectStrings(item, files)
			default:
				collectFiles(item, files)
			}
		}
	}
}

func collectStrings(value any, files *[]string) {
	switch v := value.(type) {
	case string:
		*files = append(*files, v)
		if after := afterKey(v); after != v {
			*files = append(*files, after)
		}
	case []any:
		for _, item := range v {
			collectStrings(item, files)
		}
	}
}
