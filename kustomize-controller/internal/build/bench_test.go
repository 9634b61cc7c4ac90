// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"testing"
	"time"

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

// BenchmarkWays measures all ways to the objects of one app in turn, so that a machine that is busy is so for each of them,
// and reports how they compare with kustomize in this process.
func BenchmarkWays(b *testing.B) {
	root := lay(b, appFiles())
	renamed, placed := kustomizev1.KustomizationSpec{NamePrefix: "a-"}, kustomizev1.KustomizationSpec{TargetNamespace: "team"}
	none, some := New(Options{CacheBytes: -1, Worker: worker(b)}), New(Options{})
	built, err := some.Build(b.Context(), request(root, placed))
	if err != nil {
		b.Fatal(err)
	}
	manifest := map[string][]byte{defaultFile: []byte(appFiles()[defaultFile] + "namePrefix: a-\n")}
	ways := []struct {
		name string
		run  func() error
	}{
		{"kustomize", func() error { _, err := none.Build(b.Context(), request(root, renamed)); return err }},
		{"worker", func() error {
			_, err := none.delegate(b.Context(), order{Root: root, Dir: ".", Laid: manifest})
			return err
		}},
		{"plain", func() error { _, err := none.Build(b.Context(), request(root, placed)); return err }},
		{"kept", func() error { _, err := some.Build(b.Context(), request(root, renamed)); return err }},
		{"unchanged", func() error {
			if !built.Reads.Unchanged(root) {
				return errors.New("the reads have changed")
			}
			return nil
		}},
	}
	took := make([]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			start := time.Now()
			if err := way.run(); err != nil {
				b.Fatalf("%s: %v", way.name, err)
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[0].Microseconds())/1000/float64(b.N), "kustomize-ms")
	for i, way := range ways[1:] {
		b.ReportMetric(float64(took[i+1])/float64(took[0]), way.name+"/kustomize")
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
