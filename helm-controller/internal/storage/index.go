// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// sighting is a Secret as it was last heard of.
type sighting struct {
	uid     types.UID
	version string // resourceVersion
	release types.NamespacedName
	// at counts the lists of the watch: one of a list that began no later than
	// this may be older than the sighting.
	at int
}

func (s sighting) same(o sighting) bool { return s.uid == o.uid && s.version == o.version }

// index knows which records there are, from a watch of their metadata and from
// this process's own requests. It never tells that a record is as it was read
// unless the watch says so; it may tell that one has changed which has not,
// which costs a request.
type index struct {
	changed func(types.NamespacedName)

	mu       sync.Mutex
	synced   bool // it is complete, and the watch is under way
	filled   bool
	lists    int
	secrets  map[types.NamespacedName]sighting
	releases map[types.NamespacedName]map[string]struct{} // names of Secrets
	// writing counts the writes of this process that are under way: what is
	// heard of a Secret meanwhile is no change by somebody else.
	writing map[types.NamespacedName]int
	// own are the versions that this process has written and not heard of yet,
	// in order: the watch may be behind.
	own map[types.NamespacedName][]string
}

// maxOwn bounds the versions that are kept of one Secret.
const maxOwn = 8

func newIndex(changed func(types.NamespacedName)) *index {
	if changed == nil {
		changed = func(types.NamespacedName) {}
	}
	return &index{
		changed: changed,
		secrets: map[types.NamespacedName]sighting{}, releases: map[types.NamespacedName]map[string]struct{}{},
		writing: map[types.NamespacedName]int{}, own: map[types.NamespacedName][]string{},
	}
}

// release returns the Secrets of a release, and whether that is known.
func (i *index) release(namespace, name string) (map[string]sighting, bool) {
	if i == nil {
		return nil, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.synced {
		return nil, false
	}
	found := map[string]sighting{}
	for key := range i.releases[types.NamespacedName{Namespace: namespace, Name: name}] {
		found[key] = i.secrets[types.NamespacedName{Namespace: namespace, Name: key}]
	}
	return found, true
}

// secret returns what is known of one Secret. One that is not there is not
// known.
func (i *index) secret(namespace, key string) (sighting, bool) {
	if i == nil {
		return sighting{}, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	at, ok := i.secrets[types.NamespacedName{Namespace: namespace, Name: key}]
	return at, ok && i.synced
}

// has notes what the API server has answered to a request of this process.
func (i *index) has(namespace string, e *entry) {
	if i == nil || e.labels[ownerLabel] != owner {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.put(types.NamespacedName{Namespace: namespace, Name: e.key}, sighting{
		uid: e.uid, version: e.version, at: i.lists,
		release: types.NamespacedName{Namespace: namespace, Name: e.labels[nameLabel]},
	})
}

// write notes that a write begins, and returns what to call at its end.
func (i *index) write(namespace, key string) (done func()) {
	if i == nil {
		return func() {}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	name := types.NamespacedName{Namespace: namespace, Name: key}
	i.writing[name]++
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.writing[name]--; i.writing[name] == 0 {
			delete(i.writing, name)
		}
	}
}

// wrote is has for the answer to a write.
func (i *index) wrote(namespace string, e *entry) {
	if i == nil {
		return
	}
	i.has(namespace, e)
	i.mu.Lock()
	defer i.mu.Unlock()
	key := types.NamespacedName{Namespace: namespace, Name: e.key}
	if i.own[key] = append(i.own[key], e.version); len(i.own[key]) > maxOwn {
		i.own[key] = i.own[key][1:]
	}
}

// echo reports whether an event only tells what this process has done and
// knows. The caller holds the lock.
func (i *index) echo(key types.NamespacedName, version string) bool {
	at := slices.Index(i.own[key], version)
	if at < 0 {
		return false
	}
	if i.own[key] = i.own[key][at+1:]; len(i.own[key]) == 0 {
		delete(i.own, key)
		return false // it is as new as what is known
	}
	return true
}

// gone notes that a Secret is not there any more. With a UID, only if it is
// that one.
func (i *index) gone(namespace, key string, uid types.UID) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.drop(types.NamespacedName{Namespace: namespace, Name: key}, uid)
}

// put notes a sighting and reports whether it is news. The caller holds the
// lock.
func (i *index) put(key types.NamespacedName, s sighting) bool {
	before, was := i.secrets[key]
	if was && before.release != s.release {
		i.drop(key, "")
	}
	i.secrets[key] = s
	if i.releases[s.release] == nil {
		i.releases[s.release] = map[string]struct{}{}
	}
	i.releases[s.release][key.Name] = struct{}{}
	return !was || !before.same(s)
}

// drop forgets a Secret and reports whether it was known. The caller holds the
// lock.
func (i *index) drop(key types.NamespacedName, uid types.UID) bool {
	s, ok := i.secrets[key]
	if !ok || uid != "" && s.uid != uid {
		return false
	}
	delete(i.secrets, key)
	delete(i.own, key)
	delete(i.releases[s.release], key.Name)
	if len(i.releases[s.release]) == 0 {
		delete(i.releases, s.release)
	}
	return true
}

// Listing implements watch.Observer.
func (i *index) Listing() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lists++
}

// Asked implements watch.Observer. While the API server does not answer,
// nothing is known.
func (i *index) Asked(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.synced = err == nil && i.filled
}

// Replace implements cache.ReflectorStore. What this process has heard since
// the list was asked for stays: the list may be older.
func (i *index) Replace(items []any, _ string) error {
	for release := range i.replace(items) {
		i.changed(release)
	}
	return nil
}

// replace returns the releases of which a list tells something new.
func (i *index) replace(items []any) map[types.NamespacedName]struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	listed := map[types.NamespacedName]sighting{}
	for _, item := range items {
		if key, s, ok := sightingOf(item); ok {
			listed[key] = s
		}
	}
	news := map[types.NamespacedName]struct{}{}
	for key, s := range i.secrets {
		if _, still := listed[key]; !still && s.at < i.lists && i.drop(key, "") && i.writing[key] == 0 {
			news[s.release] = struct{}{}
		}
	}
	for key, s := range listed {
		if i.put(key, s) && i.writing[key] == 0 {
			news[s.release] = struct{}{}
		}
	}
	if !i.filled {
		news = nil
	}
	i.filled, i.synced = true, true
	return news
}

// Add implements cache.ReflectorStore.
func (i *index) Add(item any) error {
	i.heard(item, func(key types.NamespacedName, s sighting) bool { return !i.echo(key, s.version) && i.put(key, s) })
	return nil
}

// Update implements cache.ReflectorStore.
func (i *index) Update(item any) error { return i.Add(item) }

// Delete implements cache.ReflectorStore.
func (i *index) Delete(item any) error {
	i.heard(item, func(key types.NamespacedName, s sighting) bool { return i.drop(key, s.uid) })
	return nil
}

// heard notes an event of the watch and tells of it if it is news.
func (i *index) heard(item any, note func(types.NamespacedName, sighting) bool) {
	key, s, ok := sightingOf(item)
	if !ok {
		return
	}
	i.mu.Lock()
	news := note(key, s) && i.filled && i.writing[key] == 0
	i.mu.Unlock()
	if news {
		i.changed(s.release)
	}
}

// Resync implements cache.ReflectorStore.
func (i *index) Resync() error { return nil }

// sightingOf reads an event of the watch.
func sightingOf(item any) (types.NamespacedName, sighting, bool) {
	secret, ok := item.(metav1.Object)
	if !ok {
		return types.NamespacedName{}, sighting{}, false
	}
	namespace := secret.GetNamespace()
	return types.NamespacedName{Namespace: namespace, Name: secret.GetName()}, sighting{
		uid: secret.GetUID(), version: secret.GetResourceVersion(), at: -1,
		release: types.NamespacedName{Namespace: namespace, Name: secret.GetLabels()[nameLabel]},
	}, true
}
