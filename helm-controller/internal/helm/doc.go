// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package helm is the only one that calls Helm's SDK: everybody else speaks of
// releases, charts and actions in this project's own types, so that another
// major version of the SDK is a change in this package alone.
//
// A Chart comes from an artifact through Charts. A Job says what to do with it,
// and a Runner does it, off the queue. What a chart renders to is computed
// here, by the SDK's engine, before the SDK's action runs; the action gets the
// result and stores, applies and waits. See decision 0033.
package helm
