// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"cmp"
	"fmt"
	"math/big"
	"regexp"
)

// Amount is how much there is of something, as an exact rational number that is
// never negative: seven slices of 1/7 are one GPU, which floats and thousandths
// get wrong. The zero value is 0. Amounts do not change.
type Amount struct {
	// rat is nil for 0, so that equal amounts are deeply equal.
	rat *big.Rat
}

// amounts are whole numbers or fractions, of bounded length since others write
// them. The bound is far beyond what pods, replicas and units can add up to.
var amounts = regexp.MustCompile(`^[0-9]{1,64}(/[1-9][0-9]{0,63})?$`)

// ParseAmount reads a whole number such as "16" or a fraction such as "1/7".
func ParseAmount(s string) (Amount, error) {
	rat, ok := new(big.Rat), amounts.MatchString(s)
	if ok {
		rat, ok = rat.SetString(s)
	}
	if !ok {
		return Amount{}, fmt.Errorf("%.64q is not an amount: write a whole number such as 16, or a fraction such as 1/7", s)
	}
	return amountOf(rat), nil
}

// Whole is the amount n, or 0 if n is negative.
func Whole(n int64) Amount { return amountOf(new(big.Rat).SetInt64(n)) }

// fraction is the amount n/d, for a d that is not 0.
func fraction(n, d int64) Amount { return amountOf(big.NewRat(n, d)) }

func amountOf(rat *big.Rat) Amount {
	if rat.Sign() <= 0 {
		return Amount{}
	}
	return Amount{rat}
}

func (a Amount) value() *big.Rat {
	if a.rat == nil {
		return new(big.Rat)
	}
	return a.rat
}

// Add returns a + b.
func (a Amount) Add(b Amount) Amount {
	switch {
	case a.rat == nil:
		return b
	case b.rat == nil:
		return a
	}
	return amountOf(new(big.Rat).Add(a.rat, b.rat))
}

// Sub returns a - b, or 0 if b is more than a.
func (a Amount) Sub(b Amount) Amount {
	if b.rat == nil {
		return a
	}
	return amountOf(new(big.Rat).Sub(a.value(), b.rat))
}

// Times returns n times a, or 0 if n is negative.
func (a Amount) Times(n int64) Amount {
	return amountOf(new(big.Rat).Mul(a.value(), new(big.Rat).SetInt64(n)))
}

// of returns a of something of which one is b.
func (a Amount) of(b Amount) Amount {
	if a.rat == nil || b.rat == nil {
		return Amount{}
	}
	return amountOf(new(big.Rat).Mul(a.rat, b.rat))
}

// Cmp returns -1, 0 or +1 as a is less than, equal to or more than b.
func (a Amount) Cmp(b Amount) int {
	if a.rat == nil || b.rat == nil {
		return cmp.Compare(a.value().Sign(), b.value().Sign())
	}
	return a.rat.Cmp(b.rat)
}

// Equal reports whether a and b are the same.
func (a Amount) Equal(b Amount) bool { return a.Cmp(b) == 0 }

// IsZero reports whether a is 0.
func (a Amount) IsZero() bool { return a.rat == nil }

// Float is the float next to a, for metrics, which have nothing else.
func (a Amount) Float() float64 {
	f, _ := a.value().Float64()
	return f
}

// String is how ParseAmount reads it: a whole number or a reduced fraction.
func (a Amount) String() string { return a.value().RatString() }

// MarshalText is String.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is ParseAmount.
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, err := ParseAmount(string(text))
	*a = parsed
	return err
}

// Max returns the larger amount.
func Max(a, b Amount) Amount {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}
