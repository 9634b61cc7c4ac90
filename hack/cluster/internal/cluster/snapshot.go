// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/weir-gitops/weir/hack/cluster/internal/process"
)

// restorePatience bounds a restore, which is little more than a start.
const restorePatience = startPatience

// exclusive runs do while the cluster is ready and nothing else is done to it.
func (s *supervisor) exclusive(do func() error) error {
	if !s.operation.TryLock() {
		return fmt.Errorf("%w: it is %s; try again when it is %s", ErrBusy, s.snapshotState().Phase, Ready)
	}
	defer s.operation.Unlock()
	if phase := s.snapshotState().Phase; phase != Ready {
		return fmt.Errorf("%w: it is %s, not %s", ErrBusy, phase, Ready)
	}
	return do()
}

// snapshot writes what etcd holds to a file whose directory exists. The cluster goes on meanwhile.
func (s *supervisor) snapshot(ctx context.Context, request fileRequest) error {
	file := request.File
	etcd, err := s.etcdClient()
	if err != nil {
		return err
	}
	defer etcd.close()
	answer, err := etcd.open(ctx, http.MethodPost, "/v3/maintenance/snapshot", object{})
	if err != nil {
		return fmt.Errorf("ask etcd for a snapshot: %w", err)
	}
	defer answer.Close()
	partial, err := os.OpenFile(file+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	defer os.Remove(partial.Name())
	err = errors.Join(copySnapshot(partial, answer), partial.Close())
	if err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	return os.Rename(partial.Name(), file)
}

// copySnapshot joins the pieces that etcd's JSON gateway streams.
func copySnapshot(to io.Writer, answer io.Reader) error {
	decoder := json.NewDecoder(answer)
	pieces := 0
	for {
		var piece struct {
			Result struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
			Error json.RawMessage `json:"error"`
		}
		err := decoder.Decode(&piece)
		if errors.Is(err, io.EOF) && pieces > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if len(piece.Error) > 0 {
			return fmt.Errorf("etcd broke off: %s", piece.Error)
		}
		if _, err := to.Write(piece.Result.Blob); err != nil {
			return err
		}
		pieces++
	}
}

// restore puts the cluster back to a snapshot: every component stops, etcd gets its old data, and they start again on
// the same ports. A snapshot that cannot be used leaves the cluster as it was.
func (s *supervisor) restore(ctx context.Context, request fileRequest) error {
	file := request.File
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	s.setPhase(Restoring)
	ctx, cancel := context.WithTimeoutCause(ctx, restorePatience, errors.New("the restored cluster was not ready in time"))
	defer cancel()
	if err := s.stopControlPlane(); err != nil {
		return err
	}
	unusable := s.replaceData(ctx, file)
	if err := s.startControlPlane(ctx); err != nil {
		// Half a cluster is worse than none.
		s.cancel(fmt.Errorf("start again after a restore: %w", err))
		return err
	}
	s.setPhase(Ready)
	return unusable
}

// replaceData gives etcd the data of a snapshot, or on error what it had before.
func (s *supervisor) replaceData(ctx context.Context, file string) error {
	data, before := s.layout.data(), s.layout.data()+".before"
	if err := os.Rename(data, before); err != nil {
		return err
	}
	if err := s.unpack(ctx, file); err != nil {
		return errors.Join(err, removeAll(data), os.Rename(before, data))
	}
	return removeAll(before)
}

func (s *supervisor) unpack(ctx context.Context, file string) error {
	spec := s.specs.restore(file)
	if err := os.Remove(spec.Log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	code, err := s.group.Finish(ctx, spec)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("restore %s: it is not a usable snapshot of etcd: %s", filepath.Base(file), process.Tail(spec.Log, 1))
	}
	return nil
}
