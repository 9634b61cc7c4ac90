// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The shapes below are those that Helm 3 and 4 store. Their fields are in the
// order in which Helm 4 declares them: it decides about digests.

type stored struct {
	Name        string         `json:"name"`
	Info        *info          `json:"info"`
	Chart       *storedChart   `json:"chart"`
	Config      map[string]any `json:"config"`
	Manifest    string         `json:"manifest"`
	Hooks       []*hook        `json:"hooks"`
	Version     int            `json:"version"`
	Namespace   string         `json:"namespace"`
	ApplyMethod string         `json:"apply_method"`
}

type storedChart struct {
	Metadata *metadata `json:"metadata"`
}

type info struct {
	FirstDeployed stamp  `json:"first_deployed,omitzero"`
	LastDeployed  stamp  `json:"last_deployed,omitzero"`
	Deleted       stamp  `json:"deleted,omitzero"`
	Description   string `json:"description,omitempty"`
	Status        Status `json:"status,omitempty"`
	Notes         string `json:"notes,omitempty"`
}

type hook struct {
	Name              string   `json:"name,omitempty"`
	Kind              string   `json:"kind,omitempty"`
	Path              string   `json:"path,omitempty"`
	Manifest          string   `json:"manifest,omitempty"`
	Events            []string `json:"events,omitempty"`
	LastRun           run      `json:"last_run"`
	Weight            int      `json:"weight,omitempty"`
	DeletePolicies    []string `json:"delete_policies,omitempty"`
	OutputLogPolicies []string `json:"output_log_policies,omitempty"`
}

type run struct {
	StartedAt   stamp  `json:"started_at,omitzero"`
	CompletedAt stamp  `json:"completed_at,omitzero"`
	Phase       string `json:"phase"`
}

type metadata struct {
	Name         string            `json:"name,omitempty"`
	Home         string            `json:"home,omitempty"`
	Sources      []string          `json:"sources,omitempty"`
	Version      string            `json:"version,omitempty"`
	Description  string            `json:"description,omitempty"`
	Keywords     []string          `json:"keywords,omitempty"`
	Maintainers  []*maintainer     `json:"maintainers,omitempty"`
	Icon         string            `json:"icon,omitempty"`
	APIVersion   string            `json:"apiVersion,omitempty"`
	Condition    string            `json:"condition,omitempty"`
	Tags         string            `json:"tags,omitempty"`
	AppVersion   string            `json:"appVersion,omitempty"`
	Deprecated   bool              `json:"deprecated,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	KubeVersion  string            `json:"kubeVersion,omitempty"`
	Dependencies []*dependency     `json:"dependencies,omitempty"`
	Type         string            `json:"type,omitempty"`
}

type maintainer struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	URL   string `json:"url,omitempty"`
}

type dependency struct {
	Name         string   `json:"name"`
	Version      string   `json:"version,omitempty"`
	Repository   string   `json:"repository"`
	Condition    string   `json:"condition,omitempty"`
	Tags         []string `json:"tags,omitempty"`
	Enabled      bool     `json:"enabled,omitempty"`
	ImportValues []any    `json:"import-values,omitempty"`
	Alias        string   `json:"alias,omitempty"`
}

// stamp is a time that Helm 3 writes as an empty string if it is zero.
type stamp struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(data []byte) error {
	if string(data) == `""` {
		return nil
	}
	return s.Time.UnmarshalJSON(data)
}

// Decode reads a release from the JSON of its record. Labels are not part of
// it.
func Decode(data []byte) (*Release, error) {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("it is not the JSON of a release: %w", err)
	}
	if s.Name == "" || s.Version < 1 || s.Info == nil {
		return nil, errors.New("it is not the JSON of a release: name, version or info is missing")
	}
	r := &Release{
		Name: s.Name, Namespace: s.Namespace, Version: s.Version,
		Status: s.Info.Status, ApplyMethod: s.ApplyMethod,
		Config: s.Config, Manifest: s.Manifest,
		FirstDeployed: s.Info.FirstDeployed.Time, LastDeployed: s.Info.LastDeployed.Time, Deleted: s.Info.Deleted.Time,
		Description: s.Info.Description, Notes: s.Info.Notes,
	}
	if s.Chart != nil && s.Chart.Metadata != nil {
		about := s.Chart.Metadata
		normal, err := json.Marshal(about)
		if err != nil {
			return nil, fmt.Errorf("encode the metadata of its chart: %w", err)
		}
		r.Chart = Chart{Name: about.Name, Version: about.Version, AppVersion: about.AppVersion, Metadata: normal}
	}
	for _, h := range s.Hooks {
		if h == nil {
			continue
		}
		r.Hooks = append(r.Hooks, Hook{
			Name: h.Name, Kind: h.Kind, Path: h.Path, Manifest: h.Manifest,
			Events: h.Events, Weight: h.Weight, DeletePolicies: h.DeletePolicies, OutputLogPolicies: h.OutputLogPolicies,
			LastRun: Run{Started: h.LastRun.StartedAt.Time, Completed: h.LastRun.CompletedAt.Time, Phase: h.LastRun.Phase},
		})
	}
	return r, nil
}
