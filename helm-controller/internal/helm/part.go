// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"helm.sh/helm/v3/pkg/chart"
)

// part is a chart on its way between processes, with its subcharts.
type part struct {
	// From says which chart of the tree it was before dependencies were processed,
	// in the order of walk: that one has its files.
	From     int
	Metadata []byte // JSON
	Values   tree
	Parts    []part

	// These are left out of what comes back: they do not change.
	Templates, Files []*chart.File
	Schema           []byte
}

// bare returns a chart without files.
func bare(c *chart.Chart) (part, error) {
	metadata, err := json.Marshal(c.Metadata)
	if err != nil {
		return part{}, fmt.Errorf("write the metadata of chart %s: %w", c.Name(), err)
	}
	out := part{From: numberOf(c), Metadata: metadata, Values: c.Values}
	for _, sub := range c.Dependencies() {
		inner, err := bare(sub)
		if err != nil {
			return part{}, err
		}
		out.Parts = append(out.Parts, inner)
	}
	return out, nil
}

// full returns a chart with its files.
func full(c *chart.Chart) (part, error) {
	out, err := bare(c)
	if err != nil {
		return part{}, err
	}
	out.fill(c)
	return out, nil
}

func (p *part) fill(c *chart.Chart) {
	p.Templates, p.Files, p.Schema = c.Templates, c.Files, c.Schema
	for i, sub := range c.Dependencies() {
		p.Parts[i].fill(sub)
	}
}

// chart makes a chart of a part that has all that is wanted of it.
func (p *part) chart() (*chart.Chart, error) {
	out := &chart.Chart{Metadata: &chart.Metadata{}, Values: p.Values, Templates: p.Templates, Files: p.Files, Schema: p.Schema}
	if err := json.Unmarshal(p.Metadata, out.Metadata); err != nil {
		return nil, fmt.Errorf("read the metadata of a chart: %w", err)
	}
	for i := range p.Parts {
		sub, err := p.Parts[i].chart()
		if err != nil {
			return nil, err
		}
		out.AddDependency(sub)
	}
	return out, nil
}

// restore returns the chart that a part stands for, with the files of the chart
// that it was made of.
func (p *part) restore(original *chart.Chart) (*chart.Chart, error) {
	var all []*chart.Chart
	walk(original, func(c *chart.Chart) { all = append(all, c) })
	made, err := p.chart()
	if err != nil {
		return nil, err
	}
	return made, p.refill(made, all)
}

func (p *part) refill(made *chart.Chart, all []*chart.Chart) error {
	if p.From < 0 || p.From >= len(all) {
		return errors.New("the chart that was rendered has a part that it had not before")
	}
	from := all[p.From]
	made.Lock, made.Templates, made.Files, made.Schema = from.Lock, from.Templates, from.Files, from.Schema
	for i, sub := range made.Dependencies() {
		if err := p.Parts[i].refill(sub, all); err != nil {
			return err
		}
	}
	return nil
}

// walk visits a chart and its subcharts, always in the same order.
func walk(c *chart.Chart, visit func(*chart.Chart)) {
	visit(c)
	for _, sub := range c.Dependencies() {
		walk(sub, visit)
	}
}

// number writes the place of each chart of a tree into it. What processing
// dependencies makes of a chart, two of other names sometimes, keeps that.
func number(c *chart.Chart) {
	next := 0
	walk(c, func(c *chart.Chart) {
		c.Raw = []*chart.File{{Name: strconv.Itoa(next)}}
		next++
	})
}

// numberOf returns what number has written, or 0.
func numberOf(c *chart.Chart) int {
	if len(c.Raw) != 1 {
		return 0
	}
	place, err := strconv.Atoi(c.Raw[0].Name)
	if err != nil {
		return 0
	}
	return place
}
