// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// pageSize is how many records are asked for at once. Each may be a megabyte.
const pageSize = 32

// History returns the records of a release, the newest first, or none. What a
// watch says is unchanged is not read again. A record that cannot be read is an
// error if it is the newest, and left out otherwise, as Helm does.
func (r *Records) History(name string) ([]*Record, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, r.failed("read", "the records of release '"+name+"'", err)
	}
	entries, err := r.entries(name)
	if err != nil {
		return nil, err
	}
	var records []*Record
	var broken error
	worst := 0
	for _, e := range entries {
		r.show(e)
		record, err := r.store.record(e)
		if err != nil {
			if version := labelledVersion(e); broken == nil || version > worst {
				broken, worst = r.unreadable(e.key, err), version
			}
			continue
		}
		records = append(records, record)
	}
	slices.SortFunc(records, func(a, b *Record) int { return cmp.Compare(b.Release.Version, a.Release.Version) })
	if broken != nil && (len(records) == 0 || worst >= records[0].Release.Version) {
		return nil, broken
	}
	return records, nil
}

// labelledVersion is the revision that a Secret is labelled with: a very high
// one if that is none, so that it is not taken for an old one.
func labelledVersion(e *entry) int {
	version, err := strconv.Atoi(e.labels["version"])
	if err != nil {
		return int(^uint(0) >> 1)
	}
	return version
}

// entries returns the Secrets of a release, from memory as far as that is
// known to hold.
func (r *Records) entries(name string) ([]*entry, error) {
	present, known := r.index.release(r.namespace, name)
	if !known {
		return r.list(labels.Set{nameLabel: name, ownerLabel: owner})
	}
	entries := make([]*entry, 0, len(present))
	var missing []string
	for key, at := range present {
		if e := r.store.cache.get(r.place(key)); e != nil && e.uid == at.uid && e.version == at.version {
			entries = append(entries, e)
		} else {
			missing = append(missing, key)
		}
	}
	switch len(missing) {
	case 0:
		return entries, nil
	case 1:
		e, err := r.fetch(missing[0])
		if err != nil || e == nil {
			return entries, err
		}
		return append(entries, e), nil
	default:
		return r.list(labels.Set{nameLabel: name, ownerLabel: owner})
	}
}

// All returns every record of the namespace, the newest revisions first. Those
// that cannot be read are left out.
func (r *Records) All() ([]*Record, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, r.failed("read", "all releases", err)
	}
	entries, err := r.list(labels.Set{ownerLabel: owner})
	if err != nil {
		return nil, err
	}
	var records []*Record
	for _, e := range entries {
		r.show(e)
		if record, err := r.store.record(e); err == nil {
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b *Record) int {
		return cmp.Or(cmp.Compare(a.Release.Name, b.Release.Name), cmp.Compare(b.Release.Version, a.Release.Version))
	})
	return records, nil
}

// Get returns the record with a key, or ErrNotFound, wrapped.
func (r *Records) Get(key string) (*Record, error) {
	e, err := r.entry(key)
	if err != nil {
		return nil, err
	}
	record, err := r.store.record(e)
	if err != nil {
		return nil, r.unreadable(key, err)
	}
	return record, nil
}

// entry returns the Secret with a key and notes that it was shown.
func (r *Records) entry(key string) (*entry, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, r.failed("read", "Secret '"+key+"'", err)
	}
	e := r.store.cache.get(r.place(key))
	if at, known := r.index.secret(r.namespace, key); e == nil || !known || e.uid != at.uid || e.version != at.version {
		var err error
		if e, err = r.fetch(key); err != nil {
			return nil, err
		}
		if e == nil {
			return nil, fmt.Errorf("%w: Secret '%s/%s'", ErrNotFound, r.namespace, key)
		}
	}
	r.show(e)
	return e, nil
}

// fetch reads a Secret from the API server, nil if there is none.
func (r *Records) fetch(key string) (*entry, error) {
	secret, err := r.secrets.Get(r.ctx, key, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		r.store.cache.remove(r.place(key))
		r.index.gone(r.namespace, key, "")
		return nil, nil
	}
	if err != nil {
		return nil, r.failed("read", "Secret '"+key+"'", err)
	}
	e := entryOf(secret)
	r.keep(e)
	return e, nil
}

// list reads the Secrets that carry labels from the API server.
func (r *Records) list(set labels.Set) ([]*entry, error) {
	var entries []*entry
	options := metav1.ListOptions{LabelSelector: set.AsSelector().String(), Limit: pageSize}
	for {
		page, err := r.secrets.List(r.ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			entries, options.Continue = nil, ""
			continue
		}
		if err != nil {
			return nil, r.failed("list", "Secrets with the labels "+options.LabelSelector, err)
		}
		for i := range page.Items {
			e := entryOf(&page.Items[i])
			r.keep(e)
			entries = append(entries, e)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return entries, nil
		}
	}
}

func (r *Records) place(key string) place { return place{r.client, r.namespace, key} }

// keep stores what the API server has just answered.
func (r *Records) keep(e *entry) {
	r.store.cache.put(r.place(e.key), e)
	r.index.has(r.namespace, e)
}

// show notes what the caller knows of a Secret: it is what an update starts
// from.
func (r *Records) show(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[e.key] = e
}

// shown returns what the caller knows of a Secret, reading it if that is
// nothing.
func (r *Records) shown(key string) (*entry, error) {
	r.mu.Lock()
	e := r.seen[key]
	r.mu.Unlock()
	if e != nil {
		return e, nil
	}
	return r.entry(key)
}

func (r *Records) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, key)
}
