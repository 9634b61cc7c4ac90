// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"helm.sh/helm/v3/pkg/chartutil"
)

// order is what the process that renders is told.
type order struct {
	// Chart is the number of the chart, and Version what it says of itself.
	Chart   uint64
	Version string
	Values  tree
	// Before has the values that are preserved. Nil: none are.
	Before  *preserved
	Release chartutil.ReleaseOptions
	// Kube and Versions, one a line, are what the cluster can do.
	Kube     chartutil.KubeVersion
	Versions string

	SkipSchema, SkipCRDs bool
	// Post is a HelmRelease, as JSON, that says how the result is post-rendered.
	// Empty: it is not.
	Post []byte
	// Limit is how many bytes may be rendered.
	Limit int64
}

// preserved is the release whose values an upgrade keeps.
type preserved struct {
	Name    string
	Version int
	Chart   part
	Config  tree
}

// message is what the process that renders says: one of them.
type message struct {
	Chart  *chartQuestion
	Lookup *lookupQuestion
	Schema *schemaQuestion
	Answer *answer
}

// chartQuestion asks for the chart of the order.
type chartQuestion struct{ Number uint64 }

// lookupQuestion asks for an object, or for all of a kind if it has no name.
type lookupQuestion struct{ APIVersion, Kind, Namespace, Name string }

// schemaQuestion asks for what a schema refers to.
type schemaQuestion struct{ Address string }

// reply is what a question is answered with.
type reply struct {
	Chart *part
	Body  []byte
	// Missing says that there is no such object, and NoKind that there is no such
	// kind. Fault is any other error, or the text of that of NoKind.
	Missing, NoKind bool
	Fault           string
}

// answer is what an order came to.
type answer struct {
	Fault string
	// TooMuch says that there is more than the order allows of.
	TooMuch  bool
	Chart    part
	Values   tree
	Manifest string
	Hooks    []byte // JSON
	Notes    string
	Kinds    []definedKind
	// Log is what Helm has to say.
	Log []string
}

// definedKind is a kind that the chart defines.
type definedKind struct {
	Group, Version, Kind, Resource string
	Namespaced                     bool
}
