// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package judge

// A Sample is a value at a time since the beginning, in minutes.
type Sample struct {
	Minute, Value float64
}

// A Trend is what a straight line says about samples.
type Trend struct {
	// Mean of the values, and Growth of the line from the first sample to the
	// last.
	Mean, Growth float64
	// Samples is how many there were.
	Samples int
}

// Fit lays the line of least squares through the samples from a minute on.
// Fewer than two of them grow by nothing.
func Fit(samples []Sample, from float64) Trend {
	var n, sumX, sumY, sumXX, sumXY, first, last float64
	for _, s := range samples {
		if s.Minute < from {
			continue
		}
		if n == 0 {
			first = s.Minute
		}
		last = s.Minute
		n++
		sumX, sumY = sumX+s.Minute, sumY+s.Value
		sumXX, sumXY = sumXX+s.Minute*s.Minute, sumXY+s.Minute*s.Value
	}
	if n == 0 {
		return Trend{}
	}
	t := Trend{Mean: sumY / n, Samples: int(n)}
	if spread := n*sumXX - sumX*sumX; spread > 0 {
		t.Growth = (n*sumXY - sumX*sumY) / spread * (last - first)
	}
	return t
}

// Flat reports whether the values grow by no more than a part of their mean, or
// than an amount, whichever is more.
func (t Trend) Flat(part, amount float64) bool {
	return t.Growth <= max(part*t.Mean, amount)
}
