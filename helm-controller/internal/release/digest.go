// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
)

// ErrChanged says that a release is not the one that a snapshot was made of.
var ErrChanged = errors.New("the release was changed by somebody else")

// observation is what a digest is made of: these fields in this order, without
// the hooks that are tests, which anybody may run.
type observation struct {
	Name          string          `json:"name"`
	Version       int             `json:"version"`
	Info          info            `json:"info"`
	ChartMetadata json.RawMessage `json:"chartMetadata"`
	Config        map[string]any  `json:"config"`
	Manifest      string          `json:"manifest"`
	Hooks         []hook          `json:"hooks"`
	Namespace     string          `json:"namespace"`
	OCIDigest     string          `json:"ociDigest,omitempty"`
}

func observe(r *Release, ociDigest string) (observation, error) {
	o := observation{
		Name: r.Name, Version: r.Version, Namespace: r.Namespace, Manifest: r.Manifest, OCIDigest: ociDigest,
		Info: info{
			FirstDeployed: stamp{r.FirstDeployed}, LastDeployed: stamp{r.LastDeployed}, Deleted: stamp{r.Deleted},
			Description: r.Description, Status: r.Status, Notes: r.Notes,
		},
		ChartMetadata: r.Chart.Metadata,
	}
	if len(o.ChartMetadata) == 0 {
		var err error
		if o.ChartMetadata, err = json.Marshal(metadata{Name: r.Chart.Name, Version: r.Chart.Version, AppVersion: r.Chart.AppVersion}); err != nil {
			return o, err
		}
	}
	if len(r.Config) > 0 {
		o.Config = r.Config
	}
	for i := range r.Hooks {
		if h := &r.Hooks[i]; !h.Test() {
			o.Hooks = append(o.Hooks, hook{
				Name: h.Name, Kind: h.Kind, Path: h.Path, Manifest: h.Manifest, Events: h.Events,
				LastRun: run{StartedAt: stamp{h.LastRun.Started}, CompletedAt: stamp{h.LastRun.Completed}, Phase: h.LastRun.Phase},
				Weight:  h.Weight, DeletePolicies: h.DeletePolicies, OutputLogPolicies: h.OutputLogPolicies,
			})
		}
	}
	return o, nil
}

// write writes what a digest is made of.
func write(into io.Writer, r *Release, ociDigest string) error {
	o, err := observe(r, ociDigest)
	if err != nil {
		return err
	}
	return json.NewEncoder(into).Encode(o)
}

// Snapshot tells of a release that an action has made, as Flux 2.9 does. The
// release must be one that was read from storage: only then will it be found
// unchanged there. ociDigest is that of the chart's artifact if it came from
// an OCIRepository.
func Snapshot(r *Release, action helmv2.ReleaseAction, ociDigest string) *helmv2.Snapshot {
	return &helmv2.Snapshot{
		APIVersion:    helmv2.SnapshotAPIVersion2,
		Digest:        digestOf(func(into io.Writer) error { return write(into, r, ociDigest) }),
		Name:          r.Name,
		Namespace:     r.Namespace,
		Version:       r.Version,
		Status:        string(r.Status),
		Action:        action,
		ChartName:     r.Chart.Name,
		ChartVersion:  r.Chart.Version,
		AppVersion:    r.Chart.AppVersion,
		ConfigDigest:  ConfigDigest(r.Config),
		FirstDeployed: metav1.NewTime(r.FirstDeployed),
		LastDeployed:  metav1.NewTime(r.LastDeployed),
		Deleted:       metav1.NewTime(r.Deleted),
		OCIDigest:     ociDigest,
	}
}

// Verify returns nil if a release is the one that the snapshot was made of, or
// if that cannot be told: digests of an older form and of algorithms that are
// not built cannot be verified. Otherwise the error is ErrChanged, wrapped.
func Verify(s *helmv2.Snapshot, r *Release) error {
	if s.APIVersion != helmv2.SnapshotAPIVersion2 {
		return nil
	}
	algorithm, want, _ := strings.Cut(s.Digest, ":")
	var sum hash.Hash
	switch algorithm {
	case "sha256":
		sum = sha256.New()
	case "sha384":
		sum = sha512.New384()
	case "sha512":
		sum = sha512.New()
	case "blake3":
		return nil
	default:
		return fmt.Errorf("%w: the digest %q of v%d in status.history is none", ErrChanged, s.Digest, s.Version)
	}
	if err := write(sum, r, s.OCIDigest); err != nil {
		return fmt.Errorf("compute the digest of release %s/%s.v%d: %w", r.Namespace, r.Name, r.Version, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return fmt.Errorf("%w: %s/%s.v%d in storage has another digest than v%d in status.history", ErrChanged, r.Namespace, r.Name, r.Version, s.Version)
	}
	return nil
}

// digestOf returns the SHA-256 of what is written, or "" if it cannot be.
func digestOf(to func(io.Writer) error) string {
	sum := sha256.New()
	if err := to(sum); err != nil {
		return ""
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
