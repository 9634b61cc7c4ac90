// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	wire "github.com/weir-gitops/weir/pkg/gate"
)

// entry is one request as it is in the cluster.
type entry struct {
	name, version string
	hash          string
	request       wire.Request
	verdict       wire.Verdict
	place         uint64
	// fault is why the request cannot be read.
	fault error
}

// read reads a request. It returns nil for a ConfigMap that has none.
func read(cm *corev1.ConfigMap) *entry {
	posted := wire.Parse(cm.Data)
	if posted.Hash == "" {
		return nil
	}
	e := &entry{
		name: cm.Name, version: cm.ResourceVersion, hash: posted.Hash, request: posted.Request, verdict: posted.Verdict,
		fault: posted.Fault,
	}
	if e.verdict.Answer == wire.Waiting {
		// A newer revision waits in the place of the one before it.
		e.place = place(e.verdict.Since)
	}
	if e.fault == nil && wire.Name(e.request.UID) != cm.Name {
		e.fault = errOtherOwner
	}
	return e
}

// answered reports whether the verdict is about the request.
func (e *entry) answered() bool { return e.verdict.Hash == e.hash }

// granted reports whether the request was granted.
func (e *entry) granted() bool { return e.answered() && e.verdict.Answer == wire.Granted }

// following is what is remembered of a request while there is one.
type following struct {
	hash string
	// asked is when its owner was last looked at, granted when it was first seen
	// to be granted, and looked when its grants were last looked at.
	asked, granted, looked time.Time
}

// memory has what is remembered, by the UID of the owner.
type memory map[types.UID]*following

// of returns what is remembered of a request, which is nothing if it is another
// one than before.
func (m memory) of(e *entry) *following {
	f := m[e.request.UID]
	if f == nil || f.hash != e.hash {
		f = &following{hash: e.hash}
		m[e.request.UID] = f
	}
	return f
}

// keep forgets all but the given requests.
func (m memory) keep(entries []*entry) {
	there := make(map[types.UID]struct{}, len(entries))
	for _, e := range entries {
		there[e.request.UID] = struct{}{}
	}
	for uid := range m {
		if _, still := there[uid]; !still {
			delete(m, uid)
		}
	}
}
