// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package storage reads and writes the records of Helm releases: Secrets as
// the helm CLI and Flux keep them. What was read is kept, and a watch of
// metadata tells whether it still holds, so that a release that nobody touched
// costs no request.
package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
)

var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("there is no such record")
	// ErrExists says that a record is there already.
	ErrExists = errors.New("the record exists already")
	// ErrConflict says that somebody else has changed a record since it was read.
	ErrConflict = errors.New("somebody else has changed the record meanwhile")
)

// DefaultLimit is how many bytes of records are kept if Options say nothing.
const DefaultLimit = 32 << 20

// Options of a Store.
type Options struct {
	// Metadata reads the cluster's metadata with the controller's own rights.
	// Nil: nothing is watched, and everything is read each time.
	Metadata metadata.Interface
	// Limit is how many bytes of records are kept, compressed as they are
	// stored. Defaults to DefaultLimit.
	Limit int64
	// Changed, if set, is called with the storage namespace and the name of a
	// release of which somebody else has changed a record. It must not block.
	Changed func(types.NamespacedName)
	Log     logr.Logger
}

// Store keeps what was read of the records of one cluster.
type Store struct {
	options Options
	codec   *codec
	cache   *cache
	watches *watches
}

// New returns a Store that has read nothing. Its watches end with ctx.
func New(ctx context.Context, o Options) *Store {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	return &Store{options: o, codec: newCodec(), cache: newCache(o.Limit), watches: newWatches(ctx, o)}
}

// For returns the records of a namespace. All their calls are made with the
// client, and fail once ctx has ended. What one client has read is not shown
// to another, so whoever may not read a record will not see it; hand in the
// same client for the same user.
func (s *Store) For(ctx context.Context, client dynamic.Interface, namespace string) *Records {
	return &Records{
		ctx: ctx, store: s, client: client, namespace: namespace,
		secrets: client.Resource(secrets).Namespace(namespace),
		index:   s.watches.of(namespace),
		seen:    map[string]*entry{},
	}
}

// Watched reports whether a watch tells of changes in a namespace. Otherwise
// its records are read each time.
func (s *Store) Watched(namespace string) bool { return s.watches.of(namespace) != nil }

// Size is how many bytes of records are kept.
func (s *Store) Size() int64 { return s.cache.size() }

// Records are those of one namespace, for one reconciliation or action. They
// may be used by several goroutines.
type Records struct {
	ctx       context.Context //nolint:containedctx // the SDK's drivers take no context: this is how its calls come to an end
	store     *Store
	client    dynamic.Interface
	secrets   dynamic.ResourceInterface
	namespace string
	index     *index // nil: nothing is watched

	mu   sync.Mutex
	seen map[string]*entry // what the caller was shown last, by key
}

// Record is a stored release.
type Record struct {
	// Key is the name of the Secret.
	Key     string
	Release *release.Release
	// Labels of the Secret, all of them.
	Labels map[string]string
	// UID and ResourceVersion of the Secret.
	UID             types.UID
	ResourceVersion string

	store *Store
	entry *entry
}

// JSON returns the release with all of its keys. It is unpacked at every call:
// it may be many times larger than all else of the record.
func (r *Record) JSON() ([]byte, error) {
	document, err := r.store.codec.unpack(r.entry.body)
	if err != nil {
		return nil, fmt.Errorf("the record of a release in Secret '%s' cannot be read: %w", r.Key, err)
	}
	return document, nil
}

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

const (
	recordType = "helm.sh/release.v1"
	ownerLabel = "owner"
	owner      = "helm"
	nameLabel  = "name"
	dataKey    = "release"
)

// Key returns the name of the Secret that holds a revision of a release.
func Key(name string, version int) string {
	return fmt.Sprintf("sh.helm.release.v1.%s.v%d", name, version)
}

// Namespace of the records.
func (r *Records) Namespace() string { return r.namespace }

// unreadable names a Secret whose content is not a release.
func (r *Records) unreadable(key string, err error) error {
	return fmt.Errorf("the record of a release in Secret '%s/%s' cannot be read: %w; restore or delete that Secret", r.namespace, key, err)
}

// failed words an error of the API server.
func (r *Records) failed(verb, what string, err error) error {
	if ended := context.Cause(r.ctx); ended != nil {
		err = ended
	}
	return fmt.Errorf("%s %s in namespace '%s': %w", verb, what, r.namespace, err)
}
