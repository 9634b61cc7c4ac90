// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"helm.sh/helm/v3/pkg/chart"
	sdk "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/weir-gitops/weir/helm-controller/internal/release"
	"github.com/weir-gitops/weir/helm-controller/internal/storage"
)

// storageDriver is the SDK's view of records. All of its calls fail once the
// context of the records has ended.
type storageDriver struct {
	records *storage.Records
	method  string
}

// newDriver returns a driver for the SDK. What it creates is noted as applied
// by the given method, release.ServerSide or release.ClientSide; releases that
// are there keep theirs.
func newDriver(r *storage.Records, method string) driver.Driver {
	return &storageDriver{records: r, method: method}
}

// Name implements driver.Driver. It is that of the SDK's own driver for
// Secrets.
func (d *storageDriver) Name() string { return driver.SecretsDriverName }

// Get implements driver.Queryor.
func (d *storageDriver) Get(key string) (*sdk.Release, error) {
	record, err := d.records.Get(key)
	if err != nil {
		return nil, sdkError(err)
	}
	return toSDK(record)
}

// List implements driver.Queryor.
func (d *storageDriver) List(filter func(*sdk.Release) bool) ([]*sdk.Release, error) {
	records, err := d.records.All()
	if err != nil {
		return nil, err
	}
	var found []*sdk.Release
	for _, record := range records {
		rls, err := toSDK(record)
		if err != nil {
			return nil, err
		}
		if filter(rls) {
			found = append(found, rls)
		}
	}
	return found, nil
}

// Query implements driver.Queryor: the SDK asks for releases of a name, of any
// status or of one.
func (d *storageDriver) Query(labels map[string]string) ([]*sdk.Release, error) {
	read := d.records.All
	if name := labels["name"]; name != "" {
		read = func() ([]*storage.Record, error) { return d.records.History(name) }
	}
	records, err := read()
	if err != nil {
		return nil, err
	}
	var found []*sdk.Release
	for _, record := range records {
		if !carries(record.Labels, labels) {
			continue
		}
		rls, err := toSDK(record)
		if err != nil {
			return nil, err
		}
		found = append(found, rls)
	}
	if len(found) == 0 {
		return nil, driver.ErrReleaseNotFound
	}
	return found, nil
}

func carries(all, some map[string]string) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return true
}

// Create implements driver.Creator.
func (d *storageDriver) Create(key string, rls *sdk.Release) error {
	document, err := documentOf(rls, d.method)
	if err != nil {
		return err
	}
	_, err = d.records.Create(key, document, rls.Labels)
	return sdkError(err)
}

// Update implements driver.Updator.
func (d *storageDriver) Update(key string, rls *sdk.Release) error {
	document, err := documentOf(rls, "")
	if err != nil {
		return err
	}
	_, err = d.records.Update(key, document, rls.Labels)
	return sdkError(err)
}

// Delete implements driver.Deletor.
func (d *storageDriver) Delete(key string) (*sdk.Release, error) {
	record, err := d.records.Delete(key)
	if err != nil {
		return nil, sdkError(err)
	}
	return toSDK(record)
}

// sdkError replaces the errors that the SDK looks for by its own.
func sdkError(err error) error {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return driver.ErrReleaseNotFound
	case errors.Is(err, storage.ErrExists):
		return driver.ErrReleaseExists
	}
	return err
}

// toSDK returns a stored release as the SDK has it. Each call makes another.
func toSDK(record *storage.Record) (*sdk.Release, error) {
	document, err := record.JSON()
	if err != nil {
		return nil, err
	}
	rls := &sdk.Release{}
	if err := json.Unmarshal(document, rls); err != nil {
		return nil, fmt.Errorf("read the release in Secret '%s' as Helm does: %w", record.Key, err)
	}
	rls.Labels = maps.Clone(record.Release.Labels)
	if rls.Labels == nil {
		rls.Labels = map[string]string{}
	}
	return rls, nil
}

// fromSDK returns a release of the SDK as it would be read from storage after
// having been applied by the given method.
func fromSDK(rls *sdk.Release, method string) (*release.Release, error) {
	slim := *rls
	if rls.Chart != nil {
		slim.Chart = &chart.Chart{Metadata: rls.Chart.Metadata}
	}
	document, err := documentOf(&slim, method)
	if err != nil {
		return nil, err
	}
	converted, err := release.Decode(document)
	if err != nil {
		return nil, fmt.Errorf("convert release %s.v%d: %w", rls.Name, rls.Version, err)
	}
	converted.Labels = release.OwnLabels(rls.Labels)
	return converted, nil
}

// documentOf encodes a release with the method that it was applied by, a key
// that this version of the SDK does not know. Without a method there is none.
func documentOf(rls *sdk.Release, method string) ([]byte, error) {
	document, err := json.Marshal(struct {
		*sdk.Release

		ApplyMethod string `json:"apply_method,omitempty"`
	}{rls, method})
	if err != nil {
		return nil, fmt.Errorf("encode release %s.v%d: %w", rls.Name, rls.Version, err)
	}
	return document, nil
}
