// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"testing"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"

	kustomizev1 "github.com/weir-gitops/weir/api/kustomize/v1"
)

// appFiles are the four objects of an app of the benchmark.
func appFiles() map[string]string {
	return map[string]string{
		"deployment.yaml": deployment, "service.yaml": service, "account.yaml": account, "ingress.yaml": ingressY,
		"kustomization.yaml": head + "resources: [deployment.yaml, service.yaml, account.yaml, ingress.yaml]\n",
	}
}

// BenchmarkBuild measures one build of an app: without kustomize, with it, and from what is kept.
func BenchmarkBuild(b *testing.B) {
	replaced := &kustomizev1.PostBuild{Substitute: map[string]string{"cluster": "prod"}}
	cases := []struct {
		name  string
		bytes int64
		spec  kustomizev1.KustomizationSpec
	}{
		{"plain", -1, kustomizev1.KustomizationSpec{TargetNamespace: "team"}},
		{"plain-kept", 0, kustomizev1.KustomizationSpec{TargetNamespace: "team"}},
		{"plain-kept-variables", 0, kustomizev1.KustomizationSpec{TargetNamespace: "team", PostBuild: replaced}},
		{"kustomize", -1, kustomizev1.KustomizationSpec{TargetNamespace: "team", NamePrefix: "a-"}},
		{"kustomize-kept", 0, kustomizev1.KustomizationSpec{TargetNamespace: "team", NamePrefix: "a-"}},
		{"kustomize-kept-variables", 0, kustomizev1.KustomizationSpec{TargetNamespace: "team", NamePrefix: "a-", PostBuild: replaced}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			builder, root := New(Options{CacheBytes: c.bytes}), lay(b, appFiles())
			b.ReportAllocs()
			for b.Loop() {
				result, err := builder.Build(b.Context(), request(root, c.spec))
				if err != nil || len(result.Objects) != 4 {
					b.Fatalf("%v, %v", result, err)
				}
			}
		})
	}
}

// BenchmarkThousand measures a thousand Kustomizations of one directory that differ in namespace and variables, on all
// processors.
func BenchmarkThousand(b *testing.B) {
	for name, bytes := range map[string]int64{"kept": 0, "not-kept": -1} {
		b.Run(name, func(b *testing.B) {
			root := lay(b, appFiles())
			b.ReportAllocs()
			for b.Loop() {
				builder := New(Options{CacheBytes: bytes})
				work := make(chan int)
				done := make(chan error)
				const workers = 4
				for range workers {
					go func() {
						var failed error
						for i := range work {
							_, err := builder.Build(b.Context(), request(root, kustomizev1.KustomizationSpec{
								TargetNamespace: fmt.Sprint("team", i),
								PostBuild:       &kustomizev1.PostBuild{Substitute: map[string]string{"cluster": fmt.Sprint("c", i)}},
							}))
							if err != nil {
								failed = err
							}
						}
						done <- failed
					}()
				}
				for i := range 1000 {
					work <- i
				}
				close(work)
				for range workers {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkFlux measures the same app with Flux's library, which parses kustomize's OpenAPI schema anew for each build.
func BenchmarkFlux(b *testing.B) {
	root := lay(b, appFiles())
	b.ReportAllocs()
	for b.Loop() {
		built, err := fluxkustomize.SecureBuild(root, root, false)
		if err != nil {
			b.Fatal(err)
		}
		text, err := built.AsYaml()
		if err != nil {
			b.Fatal(err)
		}
		if objects, err := readObjects(text); err != nil || len(objects) != 4 {
			b.Fatalf("%v, %v", objects, err)
		}
	}
}
