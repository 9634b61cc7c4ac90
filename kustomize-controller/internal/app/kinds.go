// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kinds is a flag that takes kinds, such as rbac.authorization.k8s.io/Role, or
// ConfigMap of the core group, divided by commas or one at a time.
type kinds []schema.GroupKind

var _ pflag.Value = (*kinds)(nil)

// Set implements pflag.Value.
func (k *kinds) Set(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		group, kind, grouped := strings.Cut(text, "/")
		if !grouped {
			group, kind = "", text
		}
		if kind == "" || strings.Contains(kind, "/") || kind[0] < 'A' || kind[0] > 'Z' {
			return fmt.Errorf("%q is not a kind; write group/Kind, or Kind for the core group", text)
		}
		*k = append(*k, schema.GroupKind{Group: group, Kind: kind})
	}
	return nil
}

// String implements pflag.Value.
func (k *kinds) String() string {
	texts := make([]string, len(*k))
	for i, gk := range *k {
		texts[i] = strings.TrimPrefix(gk.Group+"/"+gk.Kind, "/")
	}
	return strings.Join(texts, ",")
}

// Type implements pflag.Value.
func (k *kinds) Type() string { return "group/Kind,..." }
