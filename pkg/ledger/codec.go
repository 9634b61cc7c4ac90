// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

const (
	// MaxBytes is how large an encoded record may be.
	MaxBytes = 32 << 10
	// MaxReservations is how many reservations a record may have open.
	MaxReservations = 160

	// admitBytes is how large an admission may make a record. The rest is for the
	// leader, whose counts have to fit whatever was admitted.
	admitBytes = MaxBytes - 2<<10
	// slotBytes are kept free of slots.
	slotBytes = 1 << 10
	// format is the version of the encoding.
	format = 1
)

// wire is a record as it is stored.
type wire struct {
	Format int `json:"format"`
	*Record
}

// Encode returns the record as text that Decode reads. It fails if the record is
// not a tree with one root or is larger than MaxBytes.
func (r *Record) Encode() ([]byte, error) {
	data, err := r.marshal()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &wire{Record: &Record{}}); err != nil {
		return nil, fmt.Errorf("encode the ledger: it could not be read again: %w", err)
	}
	return data, nil
}

func (r *Record) marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encode the ledger: %w", err)
	}
	data, err := json.Marshal(wire{format, r})
	if err != nil {
		return nil, fmt.Errorf("encode the ledger: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("encode the ledger: its %d quotas, %d grants, %d reservations and %d slots take more than %d bytes: "+
			"split the tree of quotas into several roots", len(r.Quotas), len(r.Grants), len(r.Reservations), len(r.Slots), MaxBytes)
	}
	return data, nil
}

// Decode reads what Encode wrote, and nothing else: text that Encode would not
// write again to the byte was damaged or is of another version, and to guess at
// it could lose a limit or a charge.
func Decode(data []byte) (*Record, error) {
	if len(data) == 0 {
		return nil, errors.New("decode the ledger: it is empty")
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("decode the ledger: it has %d bytes, more than %d", len(data), MaxBytes)
	}
	w := wire{Record: &Record{}}
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("decode the ledger: it is damaged: %w", err)
	}
	if w.Format != format {
		return nil, fmt.Errorf("decode the ledger: it has format %d, this version of Weir reads format %d", w.Format, format)
	}
	if w.Record == nil {
		return nil, errors.New("decode the ledger: it is empty")
	}
	again, err := w.marshal()
	if err != nil {
		return nil, fmt.Errorf("decode the ledger: it is damaged: %w", err)
	}
	if !bytes.Equal(again, data) {
		return nil, errors.New("decode the ledger: it was edited or is damaged: it has fields or a form that Weir does not write")
	}
	return w.Record, nil
}

// check is what must be so for charges to mean anything.
func (r *Record) check() error {
	var roots []string
	for name, q := range r.Quotas {
		if q.Parent == "" {
			roots = append(roots, name)
		}
		if path := r.Path(name); len(path) == 0 || r.Quotas[path[len(path)-1]].Parent != "" {
			return fmt.Errorf("the parents of quota %q lead to no root within %d quotas", name, quotav1.MaxDepth)
		}
	}
	if len(roots) != 1 {
		return fmt.Errorf("it has %d root quotas instead of one", len(roots))
	}
	if len(r.Reservations) > MaxReservations {
		return fmt.Errorf("it has %d reservations, more than %d", len(r.Reservations), MaxReservations)
	}
	return r.checkKeys()
}

// checkKeys makes sure that what is looked up by a key is there once.
func (r *Record) checkKeys() error {
	seen := make(map[string]struct{}, len(r.Reservations)+len(r.Slots)+len(r.Grants))
	once := func(kind string, parts ...string) error {
		key := kind + "\x00" + strings.Join(parts, "\x00")
		if _, twice := seen[key]; twice || parts[0] == "" {
			return fmt.Errorf("it has no or two entries for %s %q", kind, parts[0])
		}
		seen[key] = struct{}{}
		return nil
	}
	for i := range r.Reservations {
		if err := once("the pod", string(r.Reservations[i].Pod)); err != nil {
			return err
		}
	}
	for i := range r.Slots {
		if err := once("the slot of", string(r.Slots[i].Owner), r.Slots[i].Quota); err != nil {
			return err
		}
	}
	for i := range r.Grants {
		g := &r.Grants[i]
		if err := once("the grant of", string(g.Owner)); err != nil {
			return err
		}
		for j := range g.Objects {
			if err := once("the object", g.Objects[j].Key, string(g.Owner)); err != nil {
				return err
			}
		}
	}
	return nil
}
