// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import "maps"

// Amounts are amounts of several things by name: of classes of devices, or of
// resources as containers ask for them. What is not there is 0; what is 0 is
// not there after a calculation. Nil is empty. Calculations return new maps.
type Amounts map[string]Amount

// Add returns a + b.
func (a Amounts) Add(b Amounts) Amounts {
	return a.with(b, Amount.Add)
}

// Sub returns a - b, never below 0.
func (a Amounts) Sub(b Amounts) Amounts {
	return a.with(b, Amount.Sub)
}

// Max returns the larger of a and b for each name.
func (a Amounts) Max(b Amounts) Amounts {
	return a.with(b, Max)
}

// Times returns n times a.
func (a Amounts) Times(n int64) Amounts {
	result := make(Amounts, len(a))
	for name, amount := range a {
		result.set(name, amount.Times(n))
	}
	return result
}

// Total is the sum over all names.
func (a Amounts) Total() Amount {
	var total Amount
	for _, amount := range a {
		total = total.Add(amount)
	}
	return total
}

// IsZero reports whether there is nothing of anything.
func (a Amounts) IsZero() bool {
	for _, amount := range a {
		if !amount.IsZero() {
			return false
		}
	}
	return true
}

// Covers reports whether a has at least what b has, of everything.
func (a Amounts) Covers(b Amounts) bool {
	for name, amount := range b {
		if a[name].Cmp(amount) < 0 {
			return false
		}
	}
	return true
}

// Equal reports whether a and b are the same.
func (a Amounts) Equal(b Amounts) bool { return a.Covers(b) && b.Covers(a) }

// Clone returns a copy.
func (a Amounts) Clone() Amounts { return maps.Clone(a) }

func (a Amounts) with(b Amounts, calculate func(Amount, Amount) Amount) Amounts {
	result := make(Amounts, max(len(a), len(b)))
	for name, amount := range a {
		result.set(name, calculate(amount, b[name]))
	}
	for name, amount := range b {
		if _, both := a[name]; !both {
			result.set(name, calculate(Amount{}, amount))
		}
	}
	return result
}

func (a Amounts) set(name string, amount Amount) {
	if !amount.IsZero() {
		a[name] = amount
	}
}
