// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gitops/weir/pkg/exemption"
	"github.com/weir-gitops/weir/pkg/health"
)

// Managers says whose fields the owned hash covers.
type Managers struct {
	// Self is the field manager whose Apply entry is ours.
	Self string
	// TakeOver are managers whose entries are to become ours: while one is
	// there, the object counts as changed.
	TakeOver []Manager
}

// Owned is a fingerprint of the part of a live object that is ours: the fields
// our last apply claimed, their values, and the claims of managers that we
// take over from. Two objects with equal fingerprints need no apply.
// Fingerprints hold within one process only.
type Owned struct {
	// Rules is the version of the exemptions that were left out. Fingerprints
	// under different rules say nothing about each other.
	Rules uint64
	// Fields covers all but the replicas.
	Fields uint64
	// Replicas covers spec.replicas, apart because an autoscaler may have
	// taken it over rightfully.
	Replicas uint64
}

// Key and paths that the fingerprint treats on their own.
const (
	replicasPath      = "f:spec/f:replicas"
	suspendPath       = "f:spec/f:suspend"
	policySuspendPath = "f:spec/f:runPolicy/f:suspend"
	restartedAtPath   = "f:spec/f:template/f:metadata/f:annotations/f:kubectl.kubernetes.io/restartedAt"
)

// seed is drawn once per process, so that nobody can prepare a change that
// collides with what it replaces.
var seed = maphash.MakeSeed()

// Fingerprint computes the owned hash of a live object. It is left alone by
// what others may rightfully change: kubectl's restartedAt, the suspend field
// of objects in a Kueue queue, and what exempt holds.
func Fingerprint(obj *unstructured.Unstructured, managers Managers, exempt *exemption.Tree) Owned {
	w := &walker{queued: health.InQueue(obj)}
	w.fields.SetSeed(seed)
	w.replicas.SetSeed(seed)
	for entry := range managedFields(obj) {
		switch {
		case entry.isApplyOf(managers.Self):
			w.walk(entry.fields, obj.Object, "", exempt)
		case entry.matchesAny(managers.TakeOver):
			w.claims(entry, obj.Object, exempt)
		}
	}
	return Owned{Fields: w.fields.Sum64(), Replicas: w.replicas.Sum64()}
}

// walker follows one entry of managedFields through the object it belongs to.
// Keys of the entry are f:<field>, k:<key fields of a list item>, v:<value of
// a set>, i:<index>, and "." for the existence of the node itself.
type walker struct {
	fields, replicas maphash.Hash
	queued           bool
}

// exempt reports whether a path is left alone whoever owns it.
func (w *walker) exempt(path string) bool {
	return path == restartedAtPath || w.queued && (path == suspendPath || path == policySuspendPath)
}

func (w *walker) walk(fields map[string]any, value any, path string, exempt *exemption.Tree) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		below, inner := join(path, key), exempt.Along(key, value)
		claims, _ := fields[key].(map[string]any)
		if w.exempt(below) || inner.Ends() {
			continue
		}
		child, ok := lookup(value, key)
		if inner != nil && len(claims) > 0 && !w.claimsMore(claims, child, below, inner) {
			continue // the way to what is exempt, and nothing else
		}
		hash := &w.fields
		if below == replicasPath {
			hash = &w.replicas
		}
		writeText(hash, key)
		switch {
		case !ok:
			hash.WriteByte(0)
		case len(claims) > 0:
			w.walk(claims, child, below, inner)
		default:
			writeValue(hash, child, inner)
		}
	}
	w.fields.WriteByte(1)
}

// claimsMore reports whether anything is claimed that is not exempt.
func (w *walker) claimsMore(fields map[string]any, value any, path string, exempt *exemption.Tree) bool {
	for key := range fields {
		below, inner := join(path, key), exempt.Along(key, value)
		if key == "." || w.exempt(below) || inner.Ends() {
			continue
		}
		claims, _ := fields[key].(map[string]any)
		child, _ := lookup(value, key)
		if len(claims) == 0 || w.claimsMore(claims, child, below, inner) {
			return true
		}
	}
	return false
}

// claims adds what a manager to be taken over has claimed, but not a claim on
// nothing but exempt paths.
func (w *walker) claims(entry fieldsEntry, obj map[string]any, exempt *exemption.Tree) {
	if !w.claimsMore(entry.fields, obj, "", exempt) {
		return
	}
	writeText(&w.fields, entry.manager)
	writeText(&w.fields, entry.operation)
	w.writeClaims(entry.fields, obj, "", exempt)
}

func (w *walker) writeClaims(fields map[string]any, value any, path string, exempt *exemption.Tree) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		below, inner := join(path, key), exempt.Along(key, value)
		if w.exempt(below) || inner.Ends() {
			continue
		}
		if claims, _ := fields[key].(map[string]any); len(claims) > 0 {
			child, _ := lookup(value, key)
			w.writeClaims(claims, child, below, inner)
			continue
		}
		writeText(&w.fields, below)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "/" + key
}

// lookup finds what a key of managedFields stands for. The node itself, a
// value in a set and a missing child are reported by their presence alone.
func lookup(value any, key string) (any, bool) {
	if key == "." {
		return nil, true
	}
	kind, name, _ := strings.Cut(key, ":")
	switch kind {
	case "f":
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		child, ok := object[name]
		return child, ok
	case "k":
		return findItem(value, name)
	case "v":
		return nil, containsScalar(value, name)
	case "i":
		list, _ := value.([]any)
		index, err := strconv.Atoi(name)
		if err != nil || index < 0 || index >= len(list) {
			return nil, false
		}
		return list[index], true
	}
	return nil, false
}

func findItem(value any, keyJSON string) (any, bool) {
	index := exemption.Find(value, keyJSON)
	if index < 0 {
		return nil, false
	}
	list, _ := value.([]any)
	return list[index], true
}

func containsScalar(value any, scalarJSON string) bool {
	var want any
	if json.Unmarshal([]byte(scalarJSON), &want) != nil {
		return false
	}
	list, _ := value.([]any)
	return slices.ContainsFunc(list, func(item any) bool { return exemption.SameScalar(item, want) })
}

// writeValue adds a JSON value so that different values never look alike:
// each is preceded by its type and, where it has one, its length. What is
// exempt is left out.
func writeValue(hash *maphash.Hash, value any, exempt *exemption.Tree) {
	switch v := value.(type) {
	case nil:
		hash.WriteByte('0')
	case bool:
		hash.WriteByte('b')
		maphash.WriteComparable(hash, v)
	case string:
		hash.WriteByte('s')
		writeText(hash, v)
	case int64, float64:
		hash.WriteByte('n')
		n, _ := exemption.Number(v)
		maphash.WriteComparable(hash, math.Float64bits(n))
	case []any:
		hash.WriteByte('l')
		maphash.WriteComparable(hash, len(v))
		for i, item := range v {
			if inner := exempt.Below(strconv.Itoa(i)); !inner.Ends() {
				writeValue(hash, item, inner)
			}
		}
	case map[string]any:
		keys := slices.DeleteFunc(slices.Sorted(maps.Keys(v)), func(key string) bool { return exempt.Below(key).Ends() })
		hash.WriteByte('m')
		maphash.WriteComparable(hash, len(keys))
		for _, key := range keys {
			writeText(hash, key)
			writeValue(hash, v[key], exempt.Below(key))
		}
	}
}

// writeText adds a string preceded by its length, so that nobody can move the
// border between two of them.
func writeText(hash *maphash.Hash, text string) {
	maphash.WriteComparable(hash, len(text))
	hash.WriteString(text)
}
