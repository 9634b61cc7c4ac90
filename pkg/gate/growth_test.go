// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/pkg/gpu"
)

func upTo(most int64) func(*gpu.Group) { return func(g *gpu.Group) { g.Max = most } }
func stuck(g *gpu.Group)               { g.Stuck, g.Surge = true, 1 }
func surging(g *gpu.Group)             { g.Surge = 1 }

func TestObjectGrowsAndShrinks(t *testing.T) {
	unknown := gpu.Estimate{Unknown: "its pods are made elsewhere"}
	for name, tc := range map[string]struct {
		object         Object
		grows, shrinks bool
	}{
		"the same":               {Object{Before: pods(2, 4), After: pods(2, 4)}, false, false},
		"new":                    {Object{After: pods(2, 4)}, true, false},
		"gone":                   {Object{Before: pods(2, 4)}, false, true},
		"more pods":              {Object{Before: pods(2, 4), After: pods(3, 4)}, true, false},
		"fewer pods":             {Object{Before: pods(2, 4), After: pods(1, 4)}, false, true},
		"fewer and larger pods":  {Object{Before: pods(4, 2), After: pods(2, 4)}, false, false},
		"on other nodes":         {Object{Before: with(pods(2, 4), on("A100")), After: with(pods(2, 4), on("H100"))}, true, true},
		"on any node":            {Object{Before: with(pods(2, 4), on("A100")), After: pods(2, 4)}, true, true},
		"a higher bound":         {Object{Before: pods(2, 4), After: with(pods(2, 4), upTo(6))}, true, false},
		"no bound":               {Object{Before: with(pods(2, 4), upTo(6)), After: with(pods(2, 4), upTo(-1))}, true, false},
		"a bound":                {Object{Before: with(pods(2, 4), upTo(-1)), After: with(pods(2, 4), upTo(6))}, false, true},
		"another template":       {Object{Before: with(pods(2, 4), surging), After: with(pods(2, 4), surging), Template: true}, false, false},
		"a template that sticks": {Object{Before: with(pods(2, 4), stuck), After: with(pods(2, 4), stuck), Template: true}, true, false},
		"the same template":      {Object{Before: with(pods(2, 4), stuck), After: with(pods(2, 4), stuck)}, false, false},
		"unknown":                {Object{After: unknown}, true, false},
		"unknown as before":      {Object{Before: unknown, After: unknown}, false, false},
		"known at last":          {Object{Before: unknown, After: pods(1, 1)}, true, false},
		"only claims":            {Object{After: gpu.Estimate{Groups: []gpu.Group{{Shape: gpu.Shape{Claims: 1}, Min: 1, Max: 1}}}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.object.Grows(); got != tc.grows {
				t.Errorf("grows = %t, want %t", got, tc.grows)
			}
			if got := tc.object.Shrinks(); got != tc.shrinks {
				t.Errorf("shrinks = %t, want %t", got, tc.shrinks)
			}
		})
	}
}

func TestRequestCovers(t *testing.T) {
	web := Object{Key: "apps/Deployment/ns/web", Before: pods(2, 1), After: pods(4, 1)}
	job := Object{Key: "batch/Job/ns/train", After: pods(1, 8)}
	old := Object{Key: "apps/Deployment/ns/old", Before: pods(2, 1)}
	quota := func(hard string) quotav1.GPUQuota {
		return quotav1.GPUQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: quotav1.GPUQuotaSpec{Limits: []quotav1.Limit{{Device: "gpu", Hard: hard}}}}
	}
	whole := request(web, job, old)
	whole.Quotas, whole.RemovedQuotas = []quotav1.GPUQuota{quota("8")}, []string{"gone"}
	data, _, err := Encode(whole)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err = Decode(data); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		other Request
		want  bool
	}{
		"itself":                     {whole, true},
		"what is left of it":         {request(job), true},
		"nothing":                    {request(), true},
		"half of a step was made":    {request(Object{Key: web.Key, Before: pods(3, 1), After: pods(4, 1)}), true},
		"more than was asked for":    {request(Object{Key: web.Key, Before: pods(2, 1), After: pods(5, 1)}), false},
		"something else grows":       {request(job, Object{Key: "batch/Job/ns/other", After: pods(1, 1)}), false},
		"something else shrinks":     {request(job, Object{Key: "batch/Job/ns/other", Before: pods(1, 1)}), true},
		"another revision":           {func() Request { r := request(job); r.Revision = "other"; return r }(), false},
		"another owner":              {func() Request { r := request(job); r.UID = "other"; return r }(), false},
		"the quota":                  {func() Request { r := request(job); r.Quotas = []quotav1.GPUQuota{quota("8")}; return r }(), true},
		"another limit of the quota": {func() Request { r := request(job); r.Quotas = []quotav1.GPUQuota{quota("9")}; return r }(), false},
		"another quota goes":         {func() Request { r := request(job); r.RemovedQuotas = []string{"q"}; return r }(), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := whole.Covers(tc.other); got != tc.want {
				t.Errorf("covers = %t, want %t", got, tc.want)
			}
		})
	}
}
