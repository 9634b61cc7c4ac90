// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/weir-gitops/weir/pkg/reconcile"
	"github.com/weir-gitops/weir/pkg/redact"
	"github.com/weir-gitops/weir/source-controller/internal/storage"
)

// newRevisionReason says that the remote has another revision than the
// artifact. Flux's API module has no constant for it.
const newRevisionReason = "NewRevision"

// Source is one object during one reconcile. The scope of a kind embeds it.
type Source struct {
	Subject

	keeper    *Keeper
	patcher   *reconcile.Patcher
	requested bool
	// before is the artifact that the object had at the start.
	before *fluxmeta.Artifact
	// failing: the object showed a failure at the start.
	failing bool
	outcome Outcome
}

// Outcome is what an object says of itself when its artifact is up to date.
type Outcome struct {
	// Reason of Ready and ArtifactInStorage, Succeeded by default, and their
	// Message.
	Reason, Message string
	// EventReason is that of the event about a new artifact, NewArtifact by
	// default, and Event its text. The text is also that of the event about a
	// recovery.
	EventReason, Event string
	// Metadata goes with the events, beside revision and digest.
	Metadata map[string]string
}

// Artifact is the stored artifact, or nil.
func (s *Source) Artifact() *fluxmeta.Artifact { return *s.Status.Artifact }

// Requested reports whether somebody asked for this reconcile by annotation.
func (s *Source) Requested() bool { return s.requested }

// New describes an artifact of a revision in a file of the object's directory,
// for Archive or File.
func (s *Source) New(revision, file string) *fluxmeta.Artifact {
	a := s.keeper.Storage.Artifact(s.owner(), revision, file)
	return &a
}

// Archive stores the archive that fill describes; see storage.Storage.Write.
// The object has it only after Stored.
func (s *Source) Archive(ctx context.Context, a *fluxmeta.Artifact, fill func(*storage.Archive) error) error {
	return s.keeper.Storage.Write(ctx, s.owner(), a, fill)
}

// File stores the bytes that fill writes; see storage.Storage.WriteFile. The
// object has it only after Stored.
func (s *Source) File(ctx context.Context, a *fluxmeta.Artifact, fill func(io.Writer) error) error {
	return s.keeper.Storage.WriteFile(ctx, s.owner(), a, fill)
}

// Scratch returns a file without a name, which is gone when it is closed.
func (s *Source) Scratch() (*os.File, error) { return s.keeper.Storage.Scratch() }

// Slot waits for the turn to make an artifact. The caller calls release when it
// is made. The error is that of the context.
func (s *Source) Slot(ctx context.Context) (release func(), err error) {
	return s.keeper.Slots.Take(ctx)
}

// Stored makes a the object's artifact and takes back what was wrong.
func (s *Source) Stored(ctx context.Context, a *fluxmeta.Artifact) {
	log := ctrl.LoggerFrom(ctx)
	log.Info("stored artifact", "revision", a.Revision, "digest", a.Digest, "size", *a.Size)
	*s.Status.Artifact = a
	if s.Status.URL != nil {
		if err := s.keeper.Storage.Point(s.owner(), a, s.Status.Pointer); err != nil {
			log.Error(err, "status.url leads to an older artifact, or nowhere")
		}
		s.setURL()
	}
	s.UpToDate()
	conditions.Delete(s.Object, sourcev1.BuildFailedCondition)
}

// setURL makes status.url name the host that the storage is served at.
func (s *Source) setURL() {
	if s.Status.URL != nil {
		*s.Status.URL = s.New("", s.Status.Pointer).URL
	}
}

// UpToDate takes back that the remote cannot be observed, or has something
// newer.
func (s *Source) UpToDate() {
	conditions.Delete(s.Object, sourcev1.FetchFailedCondition)
	conditions.Delete(s.Object, sourcev1.ArtifactOutdatedCondition)
}

// Done says that the stored artifact is the one that the spec asks for.
func (s *Source) Done(o Outcome) error {
	if o.Reason == "" {
		o.Reason = fluxmeta.SucceededReason
	}
	if o.EventReason == "" {
		o.EventReason = sourcev1.NewArtifactReason
	}
	s.outcome = o
	conditions.MarkTrue(s.Object, sourcev1.ArtifactInStorageCondition, o.Reason, "%s", o.Message)
	return nil
}

// Outdated shows that another artifact is about to be built, and why.
func (s *Source) Outdated(ctx context.Context, message string) error {
	if s.Artifact() != nil {
		conditions.MarkTrue(s.Object, sourcev1.ArtifactOutdatedCondition, newRevisionReason, "%s", message)
	}
	return s.Progress(ctx, "building artifact: "+message)
}

// Progress shows what goes on now. An object that shows a failure keeps showing
// it until it is over: otherwise each retry would write its status twice.
func (s *Source) Progress(ctx context.Context, message string) error {
	if !s.failing {
		reconcile.MarkProgressing(s.Object, fluxmeta.ProgressingReason, message)
	}
	return s.patcher.Status(ctx)
}

// Fail records a failure that is worth trying again in a condition of its own,
// such as FetchFailed or BuildFailed.
func (s *Source) Fail(condition, reason string, err error) error {
	conditions.MarkTrue(s.Object, condition, reason, "%s", redact.Error(err))
	return reconcile.Fail(reason, err)
}

// Stall is Fail for what no retry can help.
func (s *Source) Stall(condition, reason string, err error) error {
	conditions.MarkTrue(s.Object, condition, reason, "%s", redact.Error(err))
	return reconcile.Stalled(reason, err)
}

// StorageFailed records that the artifact could not be written.
func (s *Source) StorageFailed(err error) error {
	reason := sourcev1.ArchiveOperationFailedReason
	if errors.Is(err, storage.ErrLocked) {
		reason = sourcev1.AcquireLockFailedReason
	}
	return s.Fail(sourcev1.StorageOperationFailedCondition, reason, fmt.Errorf("unable to archive artifact to storage: %w", err))
}

// finish turns the outcome into status, events and next run.
func (s *Source) finish(err error) (ctrl.Result, error) {
	ok := reconcile.Success{
		Reason: s.outcome.Reason, Message: s.outcome.Message, After: s.keeper.Jitter(s.Interval()),
	}
	result, finished := reconcile.Finish(s.Object, err, ok, reconcile.Policy{
		SetObservedGeneration: func(generation int64) { *s.Status.ObservedGeneration = generation },
		Failed:                s.failed,
	})
	if err == nil {
		s.succeeded()
	}
	return result, finished
}
