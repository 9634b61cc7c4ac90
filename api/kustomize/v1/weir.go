// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-gitops/weir/api/meta"
)

const (
	// MaxCompletedJobs is the number of entries that status.weir.completedJobs can hold.
	MaxCompletedJobs = 1000

	// ConfirmPruneAnnotation lets a prune pass that spec.weir.pruneGuard holds back. It goes on the Kustomization, and its
	// value names exactly the objects of that prune; the Ready condition prints it.
	ConfirmPruneAnnotation = "weir.dev/confirm-prune"
)

// WeirSpec holds the fields of spec that Weir adds. The controller looks for it in the schema of the live CRD to tell
// Weir's CRD from Flux's.
type WeirSpec struct {
	// mode is Apply (the default), or Plan: build, ask the API server what applying would change, write that to
	// status.weir.plan, and touch nothing. While it is Plan drift is left as it is, and deleting the Kustomization leaves
	// the applied objects where they are.
	// +kubebuilder:validation:Enum=Apply;Plan
	// +optional
	Mode meta.Mode `json:"mode,omitempty"`

	// dependsOn lists objects of any kind that have to be ready before this Kustomization is applied. They are read as the
	// service account of this Kustomization.
	// +kubebuilder:validation:MaxItems=100
	// +optional
	DependsOn []ObjectDependency `json:"dependsOn,omitempty"`

	// driftDetection says what becomes of changes that somebody else makes to applied objects.
	// +optional
	DriftDetection *DriftDetection `json:"driftDetection,omitempty"`

	// pruneGuard holds back a prune that would delete much, or what cannot be had back, until somebody confirms it.
	// +optional
	PruneGuard *PruneGuard `json:"pruneGuard,omitempty"`

	// queuedIsReady counts an object that waits in a queue, such as a Job that Kueue keeps suspended until there are GPUs,
	// as healthy. Otherwise it is waited for, without a timeout, and what depends on this Kustomization waits as well.
	// +optional
	QueuedIsReady bool `json:"queuedIsReady,omitempty"`
}

// ObjectDependency names an object of any kind that has to be ready first.
type ObjectDependency struct {
	// apiVersion of the object, such as batch/v1.
	// +kubebuilder:validation:Pattern=`^([^/]+/)?[^/]+$`
	// +kubebuilder:validation:MaxLength=300
	// +required
	APIVersion string `json:"apiVersion"`

	// kind of the object. Of Secrets and ConfigMaps, which are ready as soon as they exist, an expression sees only
	// apiVersion, kind and metadata.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Kind string `json:"kind"`

	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`

	// namespace of the object. Defaults to the namespace of the Kustomization; left out for kinds without namespaces.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// readyExpr is a CEL expression over self (the Kustomization) and dep (the object) that yields true when the object
	// is ready. Without it the object is ready when it is healthy, one that runs to completion when it has succeeded, and
	// a kind of Flux or Weir when its Ready condition says so.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ReadyExpr string `json:"readyExpr,omitempty"`
}

// DriftDetection says what becomes of changes that somebody else makes to applied objects.
type DriftDetection struct {
	// mode is enabled (the default): put back at once; warn: show and leave; or disabled: leave.
	// +kubebuilder:validation:Enum=enabled;warn;disabled
	// +optional
	Mode meta.DriftMode `json:"mode,omitempty"`
}

// PruneGuard says which prunes have to be confirmed. A prune that would delete a Namespace, a CustomResourceDefinition or
// a PersistentVolumeClaim always has to be.
type PruneGuard struct {
	// max is how many objects may be deleted at once without being confirmed: a number, or a percentage of the inventory
	// such as 20%. Absent means any number.
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^(100|[1-9]?[0-9])%$')",message="must be a number or a percentage such as 20%"
	// +optional
	Max *intstr.IntOrString `json:"max,omitempty"`
}

// WeirStatus holds the fields of status that Weir adds.
type WeirStatus struct {
	// cluster is where the objects of the inventory are: "local", or the address of the API server that spec.kubeConfig
	// led to. When spec.kubeConfig leads elsewhere, they are left where they are.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Cluster string `json:"cluster,omitempty"`

	// completedJobs lists the objects of the inventory that run to completion, such as Jobs, and were seen finished. Such
	// an object is not created again when it is gone from the cluster, until its digest changes. An entry is dropped when
	// its object leaves the inventory.
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=id
	// +optional
	CompletedJobs []CompletedJob `json:"completedJobs,omitempty"`

	// wait is present while the health of an applied revision is waited for. It outlives a restart of the controller, so
	// that the timeout does not begin anew.
	// +optional
	Wait *Wait `json:"wait,omitempty"`

	// inventoryBefore is how many objects the inventory had when it was last settled. Present while the apply of a
	// revision or its prune is not done and spec.weir.pruneGuard is set, whose percentage is meant of it.
	// +optional
	InventoryBefore int64 `json:"inventoryBefore,omitempty"`

	// plan is what an apply would change. Present while spec.weir.mode is Plan.
	// +optional
	Plan *meta.Plan `json:"plan,omitempty"`

	// drift lists the applied objects that differ from the source and are left so. Present while there are any and
	// spec.weir.driftDetection.mode is warn.
	// +optional
	Drift *meta.ObjectChanges `json:"drift,omitempty"`
}

// Wait tells since when the health of which revision is waited for.
type Wait struct {
	// generation of the spec that was applied.
	// +required
	Generation int64 `json:"generation"`

	// digest of the artifact that was applied.
	// +kubebuilder:validation:MaxLength=256
	// +required
	Digest string `json:"digest"`

	// since is when the timeout began to run.
	// +required
	Since metav1.Time `json:"since"`
}

// CompletedJob is an object that ran to completion.
type CompletedJob struct {
	// id of the object, as in the inventory.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +required
	ID string `json:"id"`

	// digest of the object as it was wanted when it finished.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Digest string `json:"digest"`

	// succeeded tells whether it finished well.
	// +required
	Succeeded bool `json:"succeeded"`

	// finishedAt is when it finished.
	// +required
	FinishedAt metav1.Time `json:"finishedAt"`
}
