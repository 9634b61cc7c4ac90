// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package plot draws lines on two logarithmic axes, or on two linear ones from
// zero, as an SVG that needs no font, script or style sheet from elsewhere.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
)

// Plot is a picture of several series.
type Plot struct {
	// Title stands above, X and Y name the axes.
	Title, X, Y string
	Series      []Series
	// Linear axes begin at zero, and points on them have no marks.
	Linear bool
}

// Series is one line.
type Series struct {
	Name   string
	Points []Point
}

// Point of a line. On logarithmic axes both of its values have to be above zero;
// a point that is not is left out.
type Point struct{ X, Y float64 }

// Size and margins of the picture, in pixels.
const (
	width, height           = 720, 440
	left, right, above, low = 70, 30, 50, 60
)

// colours of the lines, in their order; they differ in brightness too.
var colours = []string{"#888888", "#0b5fa5", "#d1751c", "#3b8f3b", "#7a4fa3"}

// scale maps values to pixels. Low and high are powers of ten unless it is
// linear.
type scale struct {
	low, high, from, to float64
	linear              bool
}

func (s scale) at(v float64) float64 {
	if s.linear {
		return s.from + (s.to-s.from)*(v-s.low)/(s.high-s.low)
	}
	return s.from + (s.to-s.from)*(math.Log10(v)-s.low)/(s.high-s.low)
}

// SVG returns the picture.
func (p Plot) SVG() []byte {
	x, y := p.scales()
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	text(&b, width/2, 26, "middle", p.Title)
	text(&b, width/2, height-14, "middle", p.X)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", height/2, html.EscapeString(p.Y))
	for _, v := range ticks(x) {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#dddddd"/>`+"\n", x.at(v), above, height-low)
		text(&b, x.at(v), height-low+18, "middle", label(v))
	}
	for _, v := range ticks(y) {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/>`+"\n", left, y.at(v), width-right)
		text(&b, left-8, y.at(v)+4, "end", label(v))
	}
	for i, series := range p.Series {
		p.draw(&b, x, y, i, series)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// draw adds one line, its points and its name.
func (p Plot) draw(b *bytes.Buffer, x, y scale, i int, series Series) {
	colour := colours[i%len(colours)]
	path := ""
	for _, at := range series.Points {
		if !p.Linear && (at.X <= 0 || at.Y <= 0) {
			continue
		}
		command := "L"
		if path == "" {
			command = "M"
		}
		path += fmt.Sprintf("%s%.1f %.1f", command, x.at(at.X), y.at(at.Y))
		if p.Linear {
			continue
		}
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x.at(at.X), y.at(at.Y), colour)
		text(b, x.at(at.X)+6, y.at(at.Y)+14, "start", label(at.Y))
	}
	if path != "" {
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, colour)
	}
	row := float64(above + 18 + 20*i)
	fmt.Fprintf(b, `<path d="M%d %.1fh24" stroke="%s" stroke-width="3"/>`+"\n", left+14, row-4, colour)
	text(b, left+46, row, "start", series.Name)
}

// scales covers all points, in whole powers of ten.
func (p Plot) scales() (x, y scale) {
	if p.Linear {
		return p.linear()
	}
	x = scale{low: math.Inf(1), high: math.Inf(-1), from: left, to: width - right}
	y = scale{low: math.Inf(1), high: math.Inf(-1), from: height - low, to: above}
	for _, series := range p.Series {
		for _, at := range series.Points {
			if at.X > 0 && at.Y > 0 {
				x.cover(at.X)
				y.cover(at.Y)
			}
		}
	}
	for _, s := range []*scale{&x, &y} {
		if s.low > s.high {
			s.low, s.high = 0, 1
		}
		if s.low == s.high {
			s.high++
		}
	}
	return x, y
}

// linear covers all points from zero on, with room above them for the names.
func (p Plot) linear() (x, y scale) {
	x = scale{from: left, to: width - right, linear: true}
	y = scale{from: height - low, to: above, linear: true}
	for _, series := range p.Series {
		for _, at := range series.Points {
			x.high, y.high = max(x.high, at.X), max(y.high, at.Y)
		}
	}
	const room = 1.4
	x.high, y.high = max(x.high, 1), max(y.high*room, 1)
	return x, y
}

func (s *scale) cover(v float64) {
	s.low, s.high = min(s.low, math.Floor(math.Log10(v))), max(s.high, math.Ceil(math.Log10(v)))
}

// ticks are 1, 3, 10, 30 and so on, or about six round numbers at equal distances.
func ticks(s scale) []float64 {
	var list []float64
	if s.linear {
		step := math.Pow(10, math.Floor(math.Log10(s.high/3)))
		for s.high/step > 8 {
			step *= 2
		}
		for v := 0.0; v <= s.high; v += step {
			list = append(list, v)
		}
		return list
	}
	for power := s.low; power <= s.high; power++ {
		list = append(list, math.Pow(10, power))
		if power < s.high {
			list = append(list, 3*math.Pow(10, power))
		}
	}
	return list
}

// label gives three digits, and never an exponent.
func label(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func text(b *bytes.Buffer, x, y float64, anchor, content string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(content))
}
