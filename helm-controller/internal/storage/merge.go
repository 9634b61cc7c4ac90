// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

// shape says which keys of an object of a stored release Helm's SDK knows. Those
// that have a shape themselves are objects, or lists of objects that a name and
// a path tell apart. Whatever else is in a stored object was written by a
// version of Helm that knows more, and stays.
type shape map[string]shape

// known is the shape of a release as version 3 of the SDK knows it.
func known() shape {
	file := shape{"name": nil, "data": nil}
	return shape{
		"name": nil, "config": nil, "manifest": nil, "version": nil, "namespace": nil,
		"info": {
			"first_deployed": nil, "last_deployed": nil, "deleted": nil, "description": nil, "status": nil, "notes": nil, "resources": nil,
		},
		"chart": {
			"metadata": {
				"name": nil, "home": nil, "sources": nil, "version": nil, "description": nil, "keywords": nil, "maintainers": nil, "icon": nil,
				"apiVersion": nil, "condition": nil, "tags": nil, "appVersion": nil, "deprecated": nil, "annotations": nil, "kubeVersion": nil,
				"dependencies": nil, "type": nil,
			},
			"lock": nil, "templates": file, "values": nil, "schema": nil, "files": file,
		},
		"hooks": {
			"name": nil, "kind": nil, "path": nil, "manifest": nil, "events": nil, "weight": nil, "delete_policies": nil, "output_log_policies": nil,
			"last_run": {"started_at": nil, "completed_at": nil, "phase": nil},
		},
	}
}

// preserve returns a document with what is in the stored one and unknown to
// the SDK.
func preserve(before, document []byte) ([]byte, error) {
	return preserveIn(known(), before, document)
}

func preserveIn(s shape, before, after json.RawMessage) (json.RawMessage, error) {
	switch {
	case startsWith(before, '{') && startsWith(after, '{'):
		return preserveKeys(s, before, after)
	case startsWith(before, '[') && startsWith(after, '['):
		return preserveItems(s, before, after)
	}
	return after, nil
}

func preserveKeys(s shape, before, after json.RawMessage) (json.RawMessage, error) {
	var was, is map[string]json.RawMessage
	if err := unmarshal(before, &was, after, &is); err != nil {
		return nil, err
	}
	changed := false
	for key, value := range was {
		inner, isKnown := s[key]
		if _, set := is[key]; !isKnown && !set {
			is[key], changed = value, true
		} else if set && inner != nil {
			merged, err := preserveIn(inner, value, is[key])
			if err != nil {
				return nil, err
			}
			if &merged[0] != &is[key][0] {
				is[key], changed = merged, true
			}
		}
	}
	if !changed {
		return after, nil
	}
	return json.Marshal(is)
}

func preserveItems(s shape, before, after json.RawMessage) (json.RawMessage, error) {
	var was, is []json.RawMessage
	if err := unmarshal(before, &was, after, &is); err != nil {
		return nil, err
	}
	type identity struct{ Name, Path string }
	found := map[identity]json.RawMessage{}
	for _, item := range was {
		var id identity
		if json.Unmarshal(item, &id) == nil {
			found[id] = item
		}
	}
	changed := false
	for i, item := range is {
		var id identity
		if json.Unmarshal(item, &id) != nil || found[id] == nil {
			continue
		}
		merged, err := preserveIn(s, found[id], item)
		if err != nil {
			return nil, err
		}
		if &merged[0] != &item[0] {
			is[i], changed = merged, true
		}
	}
	if !changed {
		return after, nil
	}
	return json.Marshal(is)
}

func unmarshal(before json.RawMessage, was any, after json.RawMessage, is any) error {
	if err := json.Unmarshal(before, was); err != nil {
		return fmt.Errorf("it is not the JSON of a release: %w", short(err))
	}
	if err := json.Unmarshal(after, is); err != nil {
		return fmt.Errorf("what is to be stored is not JSON: %w", short(err))
	}
	return nil
}

func startsWith(raw json.RawMessage, c byte) bool { return len(raw) > 0 && raw[0] == c }

// mark sets status and description in a document.
func mark(document []byte, status release.Status, description string) ([]byte, error) {
	var all, info map[string]json.RawMessage
	if err := json.Unmarshal(document, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all["info"], &info); err != nil {
		return nil, err
	}
	for key, value := range map[string]string{"status": string(status), "description": description} {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		info[key] = encoded
	}
	encoded, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	all["info"] = encoded
	return json.Marshal(all)
}

// KnownKeys returns the keys that an update may take away, sorted, by the path
// of the object that has them: those that Helm's SDK knows. Whatever else is
// stored there stays.
func KnownKeys() map[string][]string {
	keys := map[string][]string{}
	var walk func(path string, s shape)
	walk = func(path string, s shape) {
		keys[path] = slices.Sorted(maps.Keys(s))
		for key, inner := range s {
			if inner != nil {
				walk(strings.TrimPrefix(path+"."+key, "."), inner)
			}
		}
	}
	walk("", known())
	return keys
}
