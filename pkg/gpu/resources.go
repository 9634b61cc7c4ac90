// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"slices"
	"strconv"
	"strings"
)

// This file is the data by which devices are recognised. The documentation has
// a table of it, which a test compares.

// Vendor is what is known about the resources of one maker of devices, or of
// one device plugin.
type Vendor struct {
	// Name for people.
	Name string
	// Domain that all resources of the vendor are in, with the slash; empty if
	// the domain also has resources that are no devices. Pods that ask for
	// anything in it are looked at.
	Domain string
	// Counting are the resources of which one is one device.
	Counting []string
	// Shares are resources that say how much memory or how many cores of a
	// device are wanted, beside the device. They never count.
	Shares []string
	// Others are resources in the domain that are no such devices.
	Others []string
}

// The pseudo resources by which a Shape has what annotations ask for.
const (
	// FractionResource is a share of one GPU, by the annotation gpu-fraction.
	FractionResource = "gpu-fraction"
	// MemoryResource is some memory of one GPU, by the annotation gpu-memory.
	// How much a GPU has is not known before it is bound: it counts as one.
	MemoryResource = "gpu-memory"

	// fractionDevices is how many GPUs gpu-fraction or gpu-memory is taken of.
	fractionDevices = "gpu-fraction-num-devices"
	// fractionsOf is what annotations take a share of. A class that names the
	// pseudo resource itself comes before one that names this.
	fractionsOf = "nvidia.com/gpu"
	// deviceClasses are the names by which a container asks for a device of a
	// DeviceClass as for an extended resource.
	deviceClasses = "deviceclass.resource.kubernetes.io/"
	// slices are the resources of parts of an NVIDIA GPU, such as
	// nvidia.com/mig-1g.5gb: one of seven.
	migSlices = "nvidia.com/mig-"
)

// Vendors returns the table of the vendors whose devices are recognised.
func Vendors() []Vendor {
	return []Vendor{
		{
			Name: "NVIDIA", Domain: "nvidia.com/",
			Counting: []string{"nvidia.com/gpu", "nvidia.com/gpu.shared"},
			Shares:   []string{"nvidia.com/gpumem", "nvidia.com/gpumem-percentage", "nvidia.com/gpucores", "nvidia.com/priority"},
			Others:   []string{"nvidia.com/hostdev"},
		},
		{
			Name: "AMD", Domain: "amd.com/",
			Counting: []string{"amd.com/gpu"},
			Shares:   []string{"amd.com/gpumem", "amd.com/gpucores"},
			Others:   []string{"amd.com/nic", "amd.com/vnic"},
		},
		{
			Name: "Intel", Domain: "gpu.intel.com/",
			Counting: []string{"gpu.intel.com/i915", "gpu.intel.com/xe"},
			Shares:   []string{"gpu.intel.com/memory.max", "gpu.intel.com/millicores", "gpu.intel.com/tiles"},
			Others:   []string{"gpu.intel.com/i915_monitoring", "gpu.intel.com/xe_monitoring"},
		},
		{Name: "Intel Gaudi", Domain: "habana.ai/", Counting: []string{"habana.ai/gaudi"}},
		{Name: "Google", Counting: []string{"google.com/tpu"}},
		{Name: "AWS", Counting: []string{"aws.amazon.com/neuron", "aws.amazon.com/neuroncore", "aws.amazon.com/neurondevice"}},
		{
			Name: "Huawei", Domain: "huawei.com/",
			Counting: []string{
				"huawei.com/Ascend310", "huawei.com/Ascend310P", "huawei.com/Ascend910", "huawei.com/Ascend910A",
				"huawei.com/Ascend910B2", "huawei.com/Ascend910B3", "huawei.com/Ascend910B4",
			},
			Shares: []string{
				"huawei.com/Ascend310P-memory", "huawei.com/Ascend910A-memory",
				"huawei.com/Ascend910B2-memory", "huawei.com/Ascend910B3-memory", "huawei.com/Ascend910B4-memory",
			},
		},
		{
			Name: "Cambricon", Domain: "cambricon.com/",
			Counting: []string{"cambricon.com/mlu", "cambricon.com/vmlu"},
			Shares:   []string{"cambricon.com/mlu.smlu.vmemory", "cambricon.com/mlu.smlu.vcore"},
		},
		{Name: "Hygon", Domain: "hygon.com/", Counting: []string{"hygon.com/dcu", "hygon.com/dcunum"}, Shares: []string{"hygon.com/dcumem", "hygon.com/dcucores"}},
		{
			Name: "MetaX", Domain: "metax-tech.com/",
			Counting: []string{"metax-tech.com/gpu", "metax-tech.com/sgpu"},
			Shares:   []string{"metax-tech.com/vcore", "metax-tech.com/vmemory"},
		},
		{Name: "Enflame", Domain: "enflame.com/", Counting: []string{"enflame.com/gcu", "enflame.com/vgcu"}, Shares: []string{"enflame.com/vgcu-percentage"}},
		{
			Name: "Kunlunxin", Domain: "kunlunxin.com/",
			Counting: []string{"kunlunxin.com/xpu", "kunlunxin.com/vxpu"},
			Shares:   []string{"kunlunxin.com/vxpu-memory"},
		},
		{
			Name: "Iluvatar", Domain: "iluvatar.ai/",
			Counting: []string{"iluvatar.ai/gpu", "iluvatar.ai/vgpu", "iluvatar.ai/BI-V100-vgpu", "iluvatar.ai/BI-V150-vgpu", "iluvatar.ai/MR-V50-vgpu", "iluvatar.ai/MR-V100-vgpu"},
			Shares: []string{
				"iluvatar.ai/BI-V100.vCore", "iluvatar.ai/BI-V100.vMem", "iluvatar.ai/BI-V150.vCore", "iluvatar.ai/BI-V150.vMem",
				"iluvatar.ai/MR-V50.vCore", "iluvatar.ai/MR-V50.vMem", "iluvatar.ai/MR-V100.vCore", "iluvatar.ai/MR-V100.vMem",
				"iluvatar.ai/vcuda-core", "iluvatar.ai/vcuda-memory",
			},
		},
		{
			Name: "Moore Threads", Domain: "mthreads.com/",
			Counting: []string{"mthreads.com/gpu", "mthreads.com/vgpu"},
			Shares:   []string{"mthreads.com/sgpu-core", "mthreads.com/sgpu-memory"},
		},
		{Name: "Vastai", Domain: "vastaitech.com/", Counting: []string{"vastaitech.com/va"}},
		{Name: "Biren", Domain: "birentech.com/", Counting: []string{"birentech.com/gpu"}},
		{
			Name:     "Volcano",
			Counting: []string{"volcano.sh/vgpu-number"},
			Shares:   []string{"volcano.sh/vgpu-memory", "volcano.sh/vgpu-memory-percentage", "volcano.sh/vgpu-cores"},
		},
	}
}

// AnnotationKeys returns the annotations of pods by which they ask for GPUs
// without a resource, as KAI and Run:ai have them.
func AnnotationKeys() []string { return []string{FractionResource, MemoryResource} }

// resources is the table in the form in which it is asked.
type resources struct {
	// domains end with a slash; names are of vendors without a domain.
	domains, names []string
	// counting, shares and others are sets.
	counting, shares, others map[string]bool
}

func newResources() resources {
	r := resources{
		domains:  []string{deviceClasses},
		counting: map[string]bool{}, shares: map[string]bool{}, others: map[string]bool{},
	}
	for _, vendor := range Vendors() {
		if vendor.Domain != "" {
			r.domains = append(r.domains, vendor.Domain)
		} else {
			r.names = slices.Concat(r.names, vendor.Counting, vendor.Shares)
		}
		for set, names := range map[*map[string]bool][]string{&r.counting: vendor.Counting, &r.shares: vendor.Shares, &r.others: vendor.Others} {
			for _, name := range names {
				(*set)[name] = true
			}
		}
	}
	slices.Sort(r.domains)
	slices.Sort(r.names)
	return r
}

// table is never written to.
var table = newResources()

// Domains returns the prefixes, with the slash, of resources that are looked
// at because a vendor of devices owns the domain.
func Domains() []string { return slices.Clone(table.domains) }

// ResourceNames returns the resources that are looked at beside those in one of
// the Domains.
func ResourceNames() []string { return slices.Clone(table.names) }

// ofVendor reports whether a resource is one of a vendor of devices.
func ofVendor(resource string) bool {
	if slices.Contains(table.names, resource) {
		return true
	}
	domain, _, found := strings.Cut(resource, "/")
	return found && slices.Contains(table.domains, domain+"/")
}

// extended reports whether a resource is one that a device plugin or a
// DeviceClass offers, rather than one of Kubernetes' own.
func extended(resource string) bool {
	return strings.Contains(resource, "/") && !strings.HasPrefix(resource, "requests.") &&
		(!strings.Contains(resource, "kubernetes.io/") || strings.HasPrefix(resource, deviceClasses))
}

// unitsOf is how many GPUs one of a resource is without any classes: 1 for
// those in the table, sevenths for slices. What is not a device is 0.
func unitsOf(resource string) Amount {
	if table.counting[resource] || resource == FractionResource || resource == MemoryResource {
		return Whole(1)
	}
	profile, slice := strings.CutPrefix(resource, migSlices)
	if !slice {
		return Amount{}
	}
	compute, _, _ := strings.Cut(profile, "g.")
	sevenths, err := strconv.Atoi(compute)
	if err != nil || sevenths < 1 || sevenths > 7 {
		// A profile that is not known is a whole one rather than none.
		return Whole(1)
	}
	return fraction(int64(sevenths), 7)
}
