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
// what others may rightfully change: kubectl's restartedAt, and the suspend
// field of objects in a Kueue queue.
func Fingerprint(obj *unstructured.Unstructured, managers Managers) Owned {
	w := &walker{queued: health.InQueue(obj)}
	w.fields.SetSeed(seed)
	w.replicas.SetSeed(seed)
	for entry := range managedFields(obj) {
		switch {
		case entry.isApplyOf(managers.Self):
			w.walk(entry.fields, obj.Object, "")
		case entry.matchesAny(managers.TakeOver):
			w.claims(entry)
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

func (w *walker) walk(fields map[string]any, value any, path string) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		below := join(path, key)
		if w.exempt(below) {
			continue
		}
		hash := &w.fields
		if below == replicasPath {
			hash = &w.replicas
		}
		writeText(hash, key)
		child, ok := lookup(value, key)
		if !ok {
			hash.WriteByte(0)
			continue
		}
		if claims, _ := fields[key].(map[string]any); len(claims) > 0 {
			w.walk(claims, child, below)
		} else {
			writeValue(hash, child)
		}
	}
	w.fields.WriteByte(1)
}

// claims adds what a manager to be taken over has claimed, but not a claim on
// nothing but exempt paths.
func (w *walker) claims(entry fieldsEntry) {
	before := w.fields
	writeText(&w.fields, entry.manager)
	writeText(&w.fields, entry.operation)
	if !w.writeClaims(entry.fields, "") {
		w.fields = before
	}
}

func (w *walker) writeClaims(fields map[string]any, path string) (found bool) {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		below := join(path, key)
		if w.exempt(below) {
			continue
		}
		claims, _ := fields[key].(map[string]any)
		if len(claims) > 0 {
			found = w.writeClaims(claims, below) || found
			continue
		}
		writeText(&w.fields, below)
		// The existence of a parent is claimed with any child; alone it
		// says nothing.
		found = found || key != "."
	}
	return found
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
	var keys map[string]any
	if json.Unmarshal([]byte(keyJSON), &keys) != nil {
		return nil, false
	}
	list, _ := value.([]any)
	for _, item := range list {
		object, ok := item.(map[string]any)
		if ok && hasKeys(object, keys) {
			return item, true
		}
	}
	return nil, false
}

func hasKeys(object, keys map[string]any) bool {
	for name, want := range keys {
		if !sameScalar(object[name], want) {
			return false
		}
	}
	return true
}

func containsScalar(value any, scalarJSON string) bool {
	var want any
	if json.Unmarshal([]byte(scalarJSON), &want) != nil {
		return false
	}
	list, _ := value.([]any)
	return slices.ContainsFunc(list, func(item any) bool { return sameScalar(item, want) })
}

// sameScalar compares values whose numbers may be int64 on one side and
// float64 on the other.
func sameScalar(a, b any) bool {
	x, xIsNumber := number(a)
	y, yIsNumber := number(b)
	if xIsNumber && yIsNumber {
		return x == y
	}
	switch a.(type) {
	case string, bool, nil:
		return a == b
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// writeValue adds a JSON value so that different values never look alike:
// each is preceded by its type and, where it has one, its length.
func writeValue(hash *maphash.Hash, value any) {
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
		n, _ := number(v)
		maphash.WriteComparable(hash, math.Float64bits(n))
	case []any:
		hash.WriteByte('l')
		maphash.WriteComparable(hash, len(v))
		for _, item := range v {
			writeValue(hash, item)
		}
	case map[string]any:
		hash.WriteByte('m')
		maphash.WriteComparable(hash, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			writeText(hash, key)
			writeValue(hash, v[key])
		}
	}
}

// writeText adds a string preceded by its length, so that nobody can move the
// border between two of them.
func writeText(hash *maphash.Hash, text string) {
	maphash.WriteComparable(hash, len(text))
	hash.WriteString(text)
}
