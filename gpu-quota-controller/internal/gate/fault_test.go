// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	wire "github.com/weir-gitops/weir/pkg/gate"
)

// A request that cannot be read, such as one of a newer Weir, is told of once,
// and not each time that anything is counted.
func TestUnreadableRequestIsToldOnce(t *testing.T) {
	told := 0
	k := &Keeper{
		Options:  Options{Log: funcr.New(func(string, string) { told++ }, funcr.Options{})},
		requests: cache.NewStore(cache.MetaNamespaceKeyFunc),
	}
	for i, want := range []int{1, 1, 2} {
		version := "1"
		if i == 2 {
			version = "2"
		}
		if err := k.requests.Update(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: wire.Name("u"), ResourceVersion: version},
			Data:       map[string]string{"hash": "h", "request": `{"uid":"u","aFieldToCome":1}`},
		}); err != nil {
			t.Fatal(err)
		}
		if entries := k.entries(); len(entries) != 0 || told != want {
			t.Errorf("look %d: told %d times, want %d; entries %v", i, told, want, entries)
		}
	}
}
