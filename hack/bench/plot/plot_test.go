// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	got := Plot{
		Title: "a < b", X: "n", Y: "s",
		Series: []Series{{"one", []Point{{100, 2}, {1000, 20}}}, {"none", []Point{{100, 0}}}},
	}.SVG()
	for _, want := range []string{"a &lt; b", ">one<", ">none<", ">100<", ">1000<"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("the picture lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(string(got), "<circle"); n != 2 {
		t.Errorf("%d points are drawn, want the 2 that a logarithm has a place for", n)
	}
	for decoder := xml.NewDecoder(bytes.NewReader(got)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal("not well-formed:", err)
		}
	}
}

func TestScaleIsLogarithmic(t *testing.T) {
	x, _ := Plot{Series: []Series{{"", []Point{{10, 1}, {1000, 1}}}}}.scales()
	if got := x.at(100); got != (x.at(10)+x.at(1000))/2 {
		t.Errorf("100 is at %v, want it in the middle of 10 and 1000", got)
	}
}

func TestEmptyPlotIsAPicture(t *testing.T) {
	if got := (Plot{}).SVG(); bytes.Contains(got, []byte("NaN")) || bytes.Contains(got, []byte("Inf")) {
		t.Errorf("%s", got)
	}
}
