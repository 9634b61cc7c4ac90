// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

func devices(t testing.TB, text string) []quotav1.Device {
	t.Helper()
	var all []quotav1.Device
	if err := yaml.UnmarshalStrict([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func catalogue(t testing.TB, text string) *Catalogue {
	t.Helper()
	c, err := Compile(devices(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	// sizes is one class of whole GPUs and slices.
	sizes = `[
		{name: a100, match: {resourceNames: [nvidia.com/gpu]}},
		{name: a100, units: 1/7, match: {resourceNames: [nvidia.com/mig-1g.5gb]}},
		{name: a100, units: 3/7, match: {resourceNames: [nvidia.com/mig-3g.20gb]}}]`
	// models are told apart by the label of the node; small is what is left.
	models = `[
		{name: h100, match: {resourceNames: [nvidia.com/gpu], nodeLabels: {product: H100}}},
		{name: h100, units: 1/4, match: {resourceNames: [nvidia.com/gpu], nodeLabels: {product: H100, shared: "4"}}},
		{name: a100, match: {resourceNames: [nvidia.com/gpu], nodeLabels: {product: A100}}},
		{name: small, match: {resourceNames: [nvidia.com/gpu]}}]`
	// labelled has nothing for nodes without the labels.
	labelled = `[
		{name: h100, match: {resourceNames: [nvidia.com/gpu], nodeLabels: {product: H100}}},
		{name: a100, units: "2", match: {resourceNames: [nvidia.com/gpu], nodeLabels: {product: A100}}}]`
)

func TestCharge(t *testing.T) {
	type pin = map[string][]string
	gpus := func(n int64, pins ...pin) Shape {
		return Shape{Resources: Amounts{"nvidia.com/gpu": Whole(n)}, Pins: pins}
	}
	of := func(resource string, n int64) Shape { return Shape{Resources: Amounts{resource: Whole(n)}} }
	for name, tc := range map[string]struct {
		devices string
		shape   Shape
		node    map[string]string
		want    Amounts
		unknown []string
	}{
		"nothing":                      {shape: Shape{Claims: 3}},
		"table: a GPU":                 {shape: gpus(2), want: Amounts{"gpu": Whole(2)}},
		"table: several vendors":       {shape: Shape{Resources: Amounts{"amd.com/gpu": Whole(1), "google.com/tpu": Whole(4), "huawei.com/Ascend910": Whole(1)}}, want: Amounts{"gpu": Whole(6)}},
		"table: a slice":               {shape: of("nvidia.com/mig-1g.5gb", 7), want: Amounts{"gpu": Whole(1)}},
		"table: larger slices":         {shape: of("nvidia.com/mig-3g.40gb.me", 2), want: Amounts{"gpu": fraction(6, 7)}},
		"table: an unheard-of profile": {shape: of("nvidia.com/mig-weird", 2), want: Amounts{"gpu": Whole(2)}},
		"table: impossible profiles":   {shape: Shape{Resources: Amounts{"nvidia.com/mig-9g.5gb": Whole(1), "nvidia.com/mig-0g.5gb": Whole(1)}}, want: Amounts{"gpu": Whole(2)}},
		"table: a fraction":            {shape: Shape{Resources: Amounts{"gpu-fraction": fraction(1, 3)}}, want: Amounts{"gpu": fraction(1, 3)}},
		"table: memory":                {shape: of("gpu-memory", 1), want: Amounts{"gpu": Whole(1)}},
		"table: not a device":          {shape: Shape{Resources: Amounts{"rdma/hca": Whole(1), "nvidia.com/hostdev": Whole(1), "amd.com/nic": Whole(1)}}, want: Amounts{}},
		"table: not known":             {shape: of("nvidia.com/GA102GL_A10", 1), want: Amounts{}, unknown: []string{"nvidia.com/GA102GL_A10"}},
		"table: bound":                 {shape: gpus(1), node: map[string]string{"product": "T4"}, want: Amounts{"gpu": Whole(1)}},

		"sizes of one class":         {sizes, Shape{Resources: Amounts{"nvidia.com/gpu": Whole(1), "nvidia.com/mig-1g.5gb": Whole(2), "nvidia.com/mig-3g.20gb": Whole(1)}}, nil, Amounts{"a100": fraction(12, 7)}, nil},
		"seven sevenths":             {sizes, of("nvidia.com/mig-1g.5gb", 7), nil, Amounts{"a100": Whole(1)}, nil},
		"a size that is not there":   {sizes, of("nvidia.com/mig-2g.10gb", 1), nil, Amounts{}, []string{"nvidia.com/mig-2g.10gb"}},
		"a fraction of the GPU":      {sizes, Shape{Resources: Amounts{"gpu-fraction": fraction(1, 2)}}, nil, Amounts{"a100": fraction(1, 2)}, nil},
		"a fraction with a class":    {`[{name: parts, match: {resourceNames: [gpu-fraction]}}, {name: a100, match: {resourceNames: [nvidia.com/gpu]}}]`, Shape{Resources: Amounts{"gpu-fraction": fraction(1, 2)}}, nil, Amounts{"parts": fraction(1, 2)}, nil},
		"a fraction and no such GPU": {`[{name: amd, match: {resourceNames: [amd.com/gpu]}}]`, Shape{Resources: Amounts{"gpu-fraction": fraction(1, 2)}}, nil, Amounts{}, []string{"gpu-fraction"}},
		"two classes of one":         {`[{name: a, match: {resourceNames: [nvidia.com/gpu]}}, {name: b, units: 2, match: {resourceNames: [nvidia.com/gpu]}}]`, gpus(3), nil, Amounts{"a": Whole(3), "b": Whole(6)}, nil},
		"a resource of nobody":       {`[{name: fpga, units: 2, match: {resourceNames: [example.com/fpga]}}]`, Shape{Resources: Amounts{"example.com/fpga": Whole(3), "example.com/other": Whole(1)}}, nil, Amounts{"fpga": Whole(6)}, nil},
		"a device class by its name": {`[{name: h100, match: {resourceNames: [deviceclass.resource.kubernetes.io/h100]}}]`, of("deviceclass.resource.kubernetes.io/h100", 2), nil, Amounts{"h100": Whole(2)}, nil},

		"could land anywhere":                  {models, gpus(4), nil, Amounts{"h100": Whole(4), "a100": Whole(4), "small": Whole(4)}, nil},
		"pinned to one":                        {models, gpus(4, pin{"product": {"A100"}}), nil, Amounts{"a100": Whole(4)}, nil},
		"pinned to one, which may be shared":   {models, gpus(4, pin{"product": {"H100"}}), nil, Amounts{"h100": Whole(4)}, nil},
		"pinned to shared ones":                {models, gpus(4, pin{"product": {"H100"}, "shared": {"4"}}), nil, Amounts{"h100": Whole(1)}, nil},
		"pinned to one that is not shared":     {models, gpus(4, pin{"product": {"H100"}, "shared": {"no"}}), nil, Amounts{"h100": Whole(4)}, nil},
		"one of two values":                    {models, gpus(4, pin{"product": {"A100", "H100"}}), nil, Amounts{"h100": Whole(4), "a100": Whole(4)}, nil},
		"one of two terms":                     {models, gpus(4, pin{"product": {"A100"}}, pin{"product": {"T4"}}), nil, Amounts{"a100": Whole(4), "small": Whole(4)}, nil},
		"pinned to what no class has labels":   {models, gpus(4, pin{"product": {"T4"}}), nil, Amounts{"small": Whole(4)}, nil},
		"pinned by another label":              {models, gpus(4, pin{"zone": {"a"}}), nil, Amounts{"h100": Whole(4), "a100": Whole(4), "small": Whole(4)}, nil},
		"bound":                                {models, gpus(4), map[string]string{"product": "A100"}, Amounts{"a100": Whole(4)}, nil},
		"bound, not where it is pinned":        {models, gpus(4, pin{"product": {"H100"}}), map[string]string{"product": "A100"}, Amounts{"a100": Whole(4)}, nil},
		"bound, the most labels count":         {models, gpus(4), map[string]string{"product": "H100", "shared": "4"}, Amounts{"h100": Whole(1)}, nil},
		"bound to what is left":                {models, gpus(4), map[string]string{"product": "T4"}, Amounts{"small": Whole(4)}, nil},
		"bound to a node without labels":       {models, gpus(4), map[string]string{}, Amounts{"small": Whole(4)}, nil},
		"each class it could land on":          {labelled, gpus(1), nil, Amounts{"h100": Whole(1), "a100": Whole(2)}, nil},
		"bound to a node of no class":          {labelled, gpus(1), map[string]string{"product": "T4"}, Amounts{}, []string{"nvidia.com/gpu"}},
		"bound to a node not yet labelled":     {labelled, gpus(1), map[string]string{"zone": "a"}, Amounts{"h100": Whole(1), "a100": Whole(2)}, nil},
		"pinned to a node of no class":         {labelled, gpus(1, pin{"product": {"T4"}}), nil, Amounts{}, []string{"nvidia.com/gpu"}},
		"pinned to nodes of which one has one": {labelled, gpus(1, pin{"product": {"T4", "A100"}}), nil, Amounts{"a100": Whole(2)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Compile(nil)
			if tc.devices != "" {
				c, err = Compile(devices(t, tc.devices))
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.Charge(tc.shape, tc.node)); diff != "" {
				t.Errorf("Charge (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.unknown, c.UnknownAt(tc.shape, tc.node)); diff != "" {
				t.Errorf("UnknownAt (-want +got):\n%s", diff)
			}
			if tc.node == nil {
				if diff := cmp.Diff(tc.unknown, c.Unknown(tc.shape)); diff != "" {
					t.Errorf("Unknown (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestChargeBeforeBindingCovers: what a pod is charged before it is bound is
// never less than at the node, whatever node that is.
func TestChargeBeforeBindingCovers(t *testing.T) {
	products, shared := []string{"", "H100", "A100", "T4"}, []string{"", "4", "no"}
	pinned := func(values []string, mask int) []string {
		var kept []string
		for i, value := range values[1:] {
			if mask&(1<<i) != 0 {
				kept = append(kept, value)
			}
		}
		return kept
	}
	for mask := range 1 << 5 {
		pin := map[string][]string{}
		if kept := pinned(products, mask&7); len(kept) > 0 {
			pin["product"] = kept
		}
		if kept := pinned(shared, mask>>3); len(kept) > 0 {
			pin["shared"] = kept
		}
		shape := Shape{Resources: Amounts{"nvidia.com/gpu": Whole(3)}}
		if len(pin) > 0 {
			shape.Pins = []map[string][]string{pin}
		}
		for _, product := range products {
			for _, share := range shared {
				node := map[string]string{}
				if product != "" {
					node["product"] = product
				}
				if share != "" {
					node["shared"] = share
				}
				if allows(pin, node) {
					covered(t, shape, node)
				}
			}
		}
	}
}

func covered(t *testing.T, shape Shape, node map[string]string) {
	t.Helper()
	for _, declared := range []string{models, labelled, sizes, `[]`} {
		c := catalogue(t, declared)
		if before, at := c.Charge(shape, nil), c.Charge(shape, node); !before.Covers(at) {
			t.Errorf("pinned to %v: %v before, %v at %v, of %s", shape.Pins, before, at, node, declared)
		}
	}
}

func allows(pin map[string][]string, node map[string]string) bool {
	for label, values := range pin {
		found := false
		for _, value := range values {
			found = found || node[label] == value
		}
		if !found {
			return false
		}
	}
	return true
}

// TestChargeOfManyValues: what is not told apart any more is open, and charges
// all.
func TestChargeOfManyValues(t *testing.T) {
	c := catalogue(t, `[{name: x, match: {resourceNames: [nvidia.com/gpu], nodeLabels: {a: "1", b: "1", c: "1"}}}, {name: rest, match: {resourceNames: [nvidia.com/gpu]}}]`)
	values := strings.Split("1 2 3 4 5 6 7 8 9 10", " ")
	shape := Shape{Resources: Amounts{"nvidia.com/gpu": Whole(1)}, Pins: []map[string][]string{{"a": values, "b": values, "c": values}}}
	if got := len(c.places(shape, nil)); got > maxPlaces {
		t.Errorf("%d kinds of nodes are told apart, want at most %d", got, maxPlaces)
	}
	want := Amounts{"x": Whole(1), "rest": Whole(1)}
	if diff := cmp.Diff(want, c.Charge(shape, nil)); diff != "" {
		t.Errorf("Charge (-want +got):\n%s", diff)
	}
}

func TestCompile(t *testing.T) {
	if got := catalogue(t, models).Classes(); !cmp.Equal(got, []string{"a100", "h100", "small"}) {
		t.Errorf("Classes() = %v", got)
	}
	if got := catalogue(t, `[]`).Classes(); !cmp.Equal(got, []string{"gpu"}) {
		t.Errorf("Classes() = %v", got)
	}
	c := catalogue(t, `[{name: a, match: {resourceNames: [b.com/x, nvidia.com/foo, a.com/x, gpu-fraction]}}]`)
	if got := c.Extra(); !cmp.Equal(got, []string{"a.com/x", "b.com/x"}) {
		t.Errorf("Extra() = %v", got)
	}
	for name, tc := range map[string]struct{ devices, want string }{
		"units that are none":     {`[{name: a, match: {resourceNames: [x/y]}}, {name: b, units: "0.5", match: {resourceNames: [x/y]}}]`, `devices[1] (b): units: "0.5" is not an amount`},
		"units of zero":           {`[{name: b, units: "0", match: {resourceNames: [x/y]}}]`, `devices[0] (b): units: 0 counts nothing`},
		"no resources":            {`[{name: b, match: {resourceNames: []}}]`, `devices[0] (b): match.resourceNames is empty`},
		"no name":                 {`[{name: "", match: {resourceNames: [x/y]}}]`, `devices[0] (): name is empty`},
		"memory":                  {`[{name: b, match: {resourceNames: [nvidia.com/gpumem]}}]`, `nvidia.com/gpumem is memory or cores of a device`},
		"a pattern":               {`[{name: b, match: {resourceNames: [nvidia.com/mig-*]}}]`, `"nvidia.com/mig-*" is a pattern`},
		"a resource of a node":    {`[{name: b, match: {resourceNames: [cpu]}}]`, `"cpu" is not the name of an extended resource`},
		"one of Kubernetes":       {`[{name: b, match: {resourceNames: [kubernetes.io/x]}}]`, `"kubernetes.io/x" is not the name of an extended resource`},
		"two sizes of the same":   {`[{name: b, match: {resourceNames: [x/y]}}, {name: b, units: 1/2, match: {resourceNames: [x/y]}}]`, `devices[1] (b): x/y on the same nodes is both 1 and 1/2 units`},
		"parts of too many kinds": {`[{name: b, units: 1/9973, match: {resourceNames: [x/y]}}, {name: b, units: 1/9967, match: {resourceNames: [x/z]}}]`, `devices[1] (b): units: the fractions of this class have no common denominator`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile(devices(t, tc.devices)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got the error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestEstimateAmounts(t *testing.T) {
	c := catalogue(t, sizes)
	other := Group{Shape: Shape{Resources: Amounts{"rdma/hca": Whole(1)}}, Min: 1, Max: -1}
	for name, tc := range map[string]struct {
		estimate         Estimate
		minimum, maximum Amounts
		bounded          bool
	}{
		"nothing":                   {Estimate{}, nil, nil, true},
		"unknown":                   {Estimate{Unknown: "why"}, nil, nil, false},
		"some":                      {Estimate{Groups: []Group{surging(pods(2, 1, 3), 9, true), pods(1, 1, 1)}}, Amounts{"a100": Whole(3)}, Amounts{"a100": Whole(7)}, true},
		"no bound":                  {Estimate{Groups: []Group{pods(2, 1, -1), pods(1, 2, 2)}}, Amounts{"a100": Whole(4)}, Amounts{"a100": Whole(4)}, false},
		"no bound on what is none":  {Estimate{Groups: []Group{other, pods(1, 2, 2)}}, Amounts{"a100": Whole(2)}, Amounts{"a100": Whole(2)}, true},
		"more than there are atoms": {Estimate{Groups: []Group{pods(1<<20, 1<<62, 1<<62), pods(1<<20, 1<<62, 1<<62)}}, Amounts{"a100": Whole(1 << 62).Times(1 << 21)}, Amounts{"a100": Whole(1 << 62).Times(1 << 21)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			minimum, maximum, bounded := tc.estimate.Amounts(c)
			if diff := cmp.Diff([]Amounts{tc.minimum, tc.maximum}, []Amounts{minimum, maximum}); diff != "" || bounded != tc.bounded {
				t.Errorf("Amounts, bounded %t (-want +got):\n%s", bounded, diff)
			}
		})
	}
}
