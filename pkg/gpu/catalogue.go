// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// maxDenominator bounds what the sizes of a class have in common, so that sums
// of them stay short: 840 is enough for all parts up to eighths and tenths.
const maxDenominator = 1_000_000

// Catalogue is the compiled classes of devices of one tree of quotas. It can be
// used by many at a time.
type Catalogue struct {
	classes []string
	// entries by resource. Nil: the built-in table, all of one class.
	entries map[string][]entry
	// labels are those of nodes that make a difference, sorted.
	labels []string
}

// entry is one size of a class, for one resource.
type entry struct {
	class  string
	units  Amount
	labels map[string]string
}

// Compile makes a Catalogue of the devices of a root. Without any there is one
// class, quotav1.DefaultDevice, of all devices that are known. Entries with the
// same name are one class in several sizes. Errors begin with the place and the
// name of the entry, as in "devices[1] (h100): …".
func Compile(devices []quotav1.Device) (*Catalogue, error) {
	if len(devices) == 0 {
		return &Catalogue{classes: []string{quotav1.DefaultDevice}}, nil
	}
	c := &Catalogue{entries: map[string][]entry{}}
	labels, common := map[string]bool{}, map[string]*big.Int{}
	for i, device := range devices {
		if err := c.add(device, common); err != nil {
			return nil, fmt.Errorf("devices[%d] (%s): %w", i, device.Name, err)
		}
		for label := range device.Match.NodeLabels {
			labels[label] = true
		}
	}
	c.classes, c.labels = slices.Sorted(maps.Keys(common)), slices.Sorted(maps.Keys(labels))
	return c, nil
}

func (c *Catalogue) add(device quotav1.Device, common map[string]*big.Int) error {
	if device.Name == "" {
		return errors.New("name is empty; limits refer to it")
	}
	units, err := ParseAmount(cmp.Or(device.Units, "1"))
	if err != nil {
		return fmt.Errorf("units: %w", err)
	}
	if units.IsZero() {
		return errors.New("units: 0 counts nothing; leave the entry out")
	}
	if common[device.Name], err = shared(common[device.Name], units.rat.Denom()); err != nil {
		return err
	}
	if len(device.Match.ResourceNames) == 0 {
		return errors.New("match.resourceNames is empty; name what containers ask for, such as nvidia.com/gpu")
	}
	for _, resource := range device.Match.ResourceNames {
		if err := countable(resource); err != nil {
			return fmt.Errorf("match.resourceNames: %w", err)
		}
		added := entry{class: device.Name, units: units, labels: device.Match.NodeLabels}
		for _, other := range c.entries[resource] {
			if other.class == added.class && maps.Equal(other.labels, added.labels) && !other.units.Equal(units) {
				return fmt.Errorf("%s on the same nodes is both %s and %s units; keep one of the entries", resource, other.units, units)
			}
		}
		c.entries[resource] = append(c.entries[resource], added)
	}
	return nil
}

// shared returns the least common multiple of the denominators.
func shared(before, denominator *big.Int) (*big.Int, error) {
	if before == nil {
		before = big.NewInt(1)
	}
	gcd := new(big.Int).GCD(nil, nil, before, denominator)
	result := new(big.Int).Div(new(big.Int).Mul(before, denominator), gcd)
	if result.Cmp(big.NewInt(maxDenominator)) > 0 {
		return nil, fmt.Errorf("units: the fractions of this class have no common denominator up to %d; use parts of the same whole, such as sevenths", maxDenominator)
	}
	return result, nil
}

// countable refuses resources of which none is a device.
func countable(resource string) error {
	switch {
	case resource == FractionResource, resource == MemoryResource:
		return nil
	case table.shares[resource]:
		return fmt.Errorf("%s is memory or cores of a device and not a device; name the resource that counts devices", resource)
	case strings.ContainsAny(resource, "*?"):
		return fmt.Errorf("%.64q is a pattern; write each name", resource)
	case !extended(resource):
		return fmt.Errorf("%.64q is not the name of an extended resource, such as nvidia.com/gpu", resource)
	}
	return nil
}

// Classes returns the names of the classes, sorted.
func (c *Catalogue) Classes() []string { return slices.Clone(c.classes) }

// Extra returns the resources that classes name and that are of no vendor that
// is known, sorted: Asks and Expression take them.
func (c *Catalogue) Extra() []string {
	var extra []string
	for resource := range c.entries {
		if !ofVendor(resource) && resource != FractionResource && resource != MemoryResource {
			extra = append(extra, resource)
		}
	}
	slices.Sort(extra)
	return extra
}

// of returns the entries for a resource. What annotations ask for is a part of
// an NVIDIA GPU, unless a class names the pseudo resource.
func (c *Catalogue) of(resource string) []entry {
	if c.entries == nil {
		if units := unitsOf(resource); !units.IsZero() {
			return []entry{{class: quotav1.DefaultDevice, units: units}}
		}
		return nil
	}
	if found := c.entries[resource]; len(found) > 0 {
		return found
	}
	if resource == FractionResource || resource == MemoryResource {
		return c.entries[fractionsOf]
	}
	return nil
}
