// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package dashboards holds the dashboards for Grafana, which are kept by hand.
// Its test runs every query of every panel against a real Prometheus, which has
// scraped the controllers at work.
package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed delivery.json gpu.json
var files embed.FS

// Files are the names of the dashboards.
func Files() []string { return []string{"delivery.json", "gpu.json"} }

// A Dashboard is the part of Grafana's model that has queries.
type Dashboard struct {
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name string `json:"name"`
		} `json:"list"`
	} `json:"templating"`
	Panels []Panel `json:"panels"`
}

// A Panel is one picture.
type Panel struct {
	Title       string `json:"title"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
}

// Read returns a dashboard.
func Read(file string) (*Dashboard, error) {
	data, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the dashboard %s: %w", file, err)
	}
	d := &Dashboard{}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("read the dashboard %s: %w", file, err)
	}
	return d, nil
}

// Panel returns the panel with a title.
func (d *Dashboard) Panel(title string) (*Panel, error) {
	for i := range d.Panels {
		if d.Panels[i].Title == title {
			return &d.Panels[i], nil
		}
	}
	return nil, fmt.Errorf("the dashboard %s has no panel %q", d.Title, title)
}

// Fill fills Grafana's variables into a query: everything is selected, and a
// rate is one over 15 seconds.
func (d *Dashboard) Fill(expr string) string {
	pairs := []string{"$__rate_interval", "15s", "$__range", "5m"}
	for _, variable := range d.Templating.List {
		pairs = append(pairs, "$"+variable.Name, ".*")
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}
