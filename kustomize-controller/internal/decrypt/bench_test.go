// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package decrypt_test

import (
	"net"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/format"
	"github.com/weir-gitops/weir/kustomize-controller/internal/decrypt/sopstest"
)

func BenchmarkObject(b *testing.B) {
	key, master := sopstest.Age(b)
	var sealed map[string]any
	text := sopstest.Encrypt(b, format.YAML, "apiVersion: v1\nkind: Secret\nstringData:\n  a: b\n  c: d\n", "^stringData$", master)
	if err := yaml.Unmarshal([]byte(text), &sealed); err != nil {
		b.Fatal(err)
	}
	keys, err := decrypt.ParseKeys(from, map[string][]byte{"a.agekey": []byte(key)})
	if err != nil {
		b.Fatal(err)
	}
	d := decrypt.NewServices(decrypt.Config{Dial: (&net.Dialer{}).DialContext}).Decrypter(keys, decrypt.Account{})
	for b.Loop() {
		if _, _, err := d.Object(b.Context(), sealed); err != nil {
			b.Fatal(err)
		}
	}
}
