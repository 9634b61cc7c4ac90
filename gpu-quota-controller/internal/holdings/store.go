// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package holdings

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// Event tells that holdings have changed.
type Event struct {
	// Namespace that it happened in. Empty: anywhere.
	Namespace string
	// Ended is a pod that holds nothing any more: it is terminal or gone. Nil
	// if none did.
	Ended *Pod
	// Began is a pod that was not known before. Nil if there is none.
	Began *Pod
	// All: there is a new live list of pods, or the labels of a node have
	// changed.
	All bool
	// Reset: the API server was restored to an earlier state. What was known of
	// resource versions is void, and all pods are those of a live list.
	Reset bool
}

// Store is the pods that ask for devices. It is complete and exact up to
// Version.
type Store struct {
	mu     sync.Mutex
	pods   map[types.UID]*Pod
	byNS   map[string]map[types.UID]*Pod
	shapes map[string]*sharedShape
	nodes  map[string]map[string]string

	version     string
	lists       int64
	nodesSynced bool
	// gone are pods that were known and are no more, and graves the order in
	// which they are forgotten.
	gone   map[types.UID]bool
	graves ring[types.UID]
	// ended are the last pods that stopped to hold anything.
	ended ring[Ended]
	// began counts the pods that were ever known.
	began int64

	listeners []func(Event)
}

// sharedShape is a Shape that several pods have.
type sharedShape struct {
	shape *gpu.Shape
	key   string
	users int
}

// NewStore returns a Store that knows nothing yet.
func NewStore() *Store {
	return &Store{pods: map[types.UID]*Pod{}, byNS: map[string]map[types.UID]*Pod{}, shapes: map[string]*sharedShape{}, nodes: map[string]map[string]string{}, gone: map[types.UID]bool{}}
}

// Listen has f called after each change, in order and from one goroutine. It
// must not block. Call it before the Store is filled.
func (s *Store) Listen(f func(Event)) { s.listeners = append(s.listeners, f) }

// Synced reports whether the pods and the nodes are known.
func (s *Store) Synced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists > 0 && s.nodesSynced
}

// Lists is how many live lists the Store has been filled from.
func (s *Store) Lists() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists
}

// Gone reports whether a pod was known and is no more. Of very many that are
// gone the first are forgotten.
func (s *Store) Gone(uid types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone[uid]
}

// Version is the resource version of pods up to which the Store is complete,
// and empty before it is.
func (s *Store) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Snapshot is some pods at one time.
type Snapshot struct {
	// Pods, terminal ones too, in any order.
	Pods []*Pod
	// Ended are the pods that have stopped to hold anything since the mark that
	// was given, as they were before.
	Ended []Ended
	// Version that they are of.
	Version string
	// Lists is what Store.Lists was.
	Lists int64
	// Mark is this moment.
	Mark Mark
}

// Ended is a pod that stopped to hold anything.
type Ended struct {
	*Pod

	// version at which that was so.
	version string
}

// After reports whether that was after a version. An empty version, or one that
// cannot be compared, is after all.
func (e Ended) After(version string) bool {
	order, err := resourceversion.CompareResourceVersion(e.version, version)
	return err == nil && order > 0
}

// Mark is a moment in the life of a Store. The zero Mark is its beginning.
type Mark struct{ began, ended int64 }

// Began reports whether a pod was first seen after the Mark.
func (m Mark) Began(pod *Pod) bool { return pod.number > m.began }

// Mark returns this moment.
func (s *Store) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Mark{s.began, s.ended.total}
}

// Snapshot returns the pods of the namespaces for which wanted returns true.
func (s *Store) Snapshot(wanted func(namespace string) bool) Snapshot {
	return s.SnapshotSince(s.Mark(), wanted)
}

// SnapshotSince is Snapshot, with what has ended since a mark.
func (s *Store) SnapshotSince(since Mark, wanted func(namespace string) bool) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := Snapshot{Version: s.version, Lists: s.lists, Mark: Mark{s.began, s.ended.total}}
	for _, pod := range s.ended.since(since.ended) {
		if wanted(pod.Namespace) {
			snapshot.Ended = append(snapshot.Ended, pod)
		}
	}
	for ns, pods := range s.byNS {
		if !wanted(ns) {
			continue
		}
		for _, pod := range pods {
			snapshot.Pods = append(snapshot.Pods, pod)
		}
	}
	return snapshot
}

// Namespaces returns the names of all namespaces with pods that ask for
// devices, sorted.
func (s *Store) Namespaces() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.byNS))
}

// Pod returns a pod, or nil.
func (s *Store) Pod(uid types.UID) *Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pods[uid]
}

// Size is how many pods there are.
func (s *Store) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pods)
}

// Node returns the labels of a node; they must not be changed. They are nil
// for one that is not known.
func (s *Store) Node(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[name]
}

// item is a pod on its way from the API server into the Store: enough of its
// metadata for a reflector, and what is kept of it. It is nil for a pod that
// asks for no device.
type item struct {
	metav1.TypeMeta
	metav1.ObjectMeta

	pod *Pod
}

// store is a Store as a reflector sees it.
type store struct{ *Store }

var (
	_ cache.ReflectorStore         = store{}
	_ cache.ReflectorBookmarkStore = store{}
)

// Add implements cache.ReflectorStore.
func (s store) Add(obj any) error { return s.Update(obj) }

// Update implements cache.ReflectorStore.
func (s store) Update(obj any) error {
	it, ok := obj.(*item)
	if !ok {
		return fmt.Errorf("a watch of pods brought a %T", obj)
	}
	s.mu.Lock()
	s.version = it.ResourceVersion
	var event *Event
	if it.pod != nil {
		event = s.put(it.pod)
	}
	s.mu.Unlock()
	s.tell(event)
	return nil
}

// Delete implements cache.ReflectorStore.
func (s store) Delete(obj any) error {
	it, ok := obj.(*item)
	if !ok {
		return fmt.Errorf("a watch of pods brought a %T", obj)
	}
	s.mu.Lock()
	s.version = it.ResourceVersion
	event := s.drop(it.UID)
	s.mu.Unlock()
	s.tell(event)
	return nil
}

// Bookmark implements cache.ReflectorBookmarkStore.
func (s store) Bookmark(version string) error {
	s.mu.Lock()
	s.version = version
	s.mu.Unlock()
	return nil
}

// Replace implements cache.ReflectorStore.
func (s store) Replace(list []any, version string) error {
	s.mu.Lock()
	reset := wentBack(s.version, version)
	s.version = version
	var events []*Event
	if reset {
		events = append(events, &Event{Reset: true})
	}
	kept := make(map[types.UID]bool, len(list))
	for _, obj := range list {
		it, ok := obj.(*item)
		if !ok {
			s.mu.Unlock()
			return fmt.Errorf("a list of pods brought a %T", obj)
		}
		if it.pod == nil {
			continue
		}
		kept[it.UID] = true
		if event := s.put(it.pod); event != nil {
			events = append(events, event)
		}
	}
	for uid := range s.pods {
		if !kept[uid] {
			events = append(events, s.drop(uid))
		}
	}
	s.lists++
	s.mu.Unlock()
	for _, event := range append(events, &Event{All: true}) {
		s.tell(event)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (s store) Resync() error { return nil }

// Fill makes a Store as if the API server had listed some pods, and no node, at
// a version. It is for those who calculate with pods of their own.
func Fill(s *Store, version string, pods ...*corev1.Pod) error {
	list := make([]any, len(pods))
	for i, pod := range pods {
		list[i] = newItem(pod)
	}
	s.setNodesSynced()
	return store{s}.Replace(list, version)
}

// put takes a pod in, with the lock held, and returns what that means.
func (s *Store) put(pod *Pod) *Event {
	before := s.pods[pod.UID]
	s.share(pod)
	if before != nil {
		s.unshare(before)
		pod.number = before.number
	} else {
		s.began++
		pod.number = s.began
	}
	s.pods[pod.UID] = pod
	if s.byNS[pod.Namespace] == nil {
		s.byNS[pod.Namespace] = map[types.UID]*Pod{}
	}
	s.byNS[pod.Namespace][pod.UID] = pod
	event := &Event{Namespace: pod.Namespace}
	switch {
	case before == nil:
		event.Began = pod
	case before.Phase == Holding && pod.Phase != Holding:
		event.Ended = pod
		s.ended.push(Ended{pod, s.version})
	case before.Phase == pod.Phase && before.Node == pod.Node && before.Shape == pod.Shape:
		return nil
	}
	return event
}

// drop forgets a pod, with the lock held, and returns what that means.
func (s *Store) drop(uid types.UID) *Event {
	pod := s.pods[uid]
	if pod == nil {
		return nil
	}
	s.unshare(pod)
	s.bury(uid)
	delete(s.pods, uid)
	delete(s.byNS[pod.Namespace], uid)
	if len(s.byNS[pod.Namespace]) == 0 {
		delete(s.byNS, pod.Namespace)
	}
	event := &Event{Namespace: pod.Namespace}
	if pod.Phase == Holding {
		event.Ended = pod
		s.ended.push(Ended{pod, s.version})
	}
	return event
}

// bury remembers that a pod is gone.
func (s *Store) bury(uid types.UID) {
	if forgotten, full := s.graves.push(uid); full {
		delete(s.gone, forgotten)
	}
	s.gone[uid] = true
}

// share makes the pod use the Shape that others like it use. A Shape is known
// by how it is written; one that cannot be is its own.
func (s *Store) share(pod *Pod) {
	key, err := json.Marshal(pod.Shape)
	if err != nil {
		return
	}
	shared := s.shapes[string(key)]
	if shared == nil {
		shared = &sharedShape{shape: pod.Shape, key: string(key)}
		s.shapes[shared.key] = shared
	}
	shared.users++
	pod.Shape, pod.shape = shared.shape, shared
}

func (s *Store) unshare(pod *Pod) {
	if pod.shape == nil {
		return
	}
	if pod.shape.users--; pod.shape.users == 0 {
		delete(s.shapes, pod.shape.key)
	}
}

func (s *Store) tell(event *Event) {
	if event == nil {
		return
	}
	for _, listener := range s.listeners {
		listener(*event)
	}
}

// setNode takes the labels of a node in; nil: the node is gone.
func (s *Store) setNode(name string, labels map[string]string) {
	s.mu.Lock()
	same := maps.Equal(s.nodes[name], labels) && (labels == nil) == (s.nodes[name] == nil)
	if labels == nil {
		delete(s.nodes, name)
	} else {
		s.nodes[intern(name)] = labels
	}
	s.mu.Unlock()
	if !same {
		s.tell(&Event{All: true})
	}
}

func (s *Store) setNodesSynced() {
	s.mu.Lock()
	s.nodesSynced = true
	s.mu.Unlock()
	s.tell(&Event{All: true})
}

// wentBack reports whether the version of now is older than the one before.
func wentBack(before, now string) bool {
	order, err := resourceversion.CompareResourceVersion(now, before)
	return before != "" && err == nil && order < 0
}
