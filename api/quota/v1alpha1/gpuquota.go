// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GPUQuotaSpec is a budget of devices and who draws on it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.devices) || !has(self.parentRef)",message="devices are declared by the root of a tree: remove devices or parentRef"
// +kubebuilder:validation:XValidation:rule="!has(self.namespaceSelector) || !has(self.namespaces)",message="name the namespaces or select them by label, not both"
type GPUQuotaSpec struct {
	// parentRef names the quota whose budget this one is a part of: what is held here is held there too. Up to five
	// quotas stand above each other.
	// +optional
	ParentRef *ParentReference `json:"parentRef,omitempty"`

	// namespaceSelector selects the namespaces whose pods draw on this quota by labels whose keys begin with
	// quota.weir.dev/, which only platform groups may set, or by kubernetes.io/metadata.name. At least one requirement
	// has to be positive: an equality, In or Exists. A namespace belongs to one quota: the oldest that selects it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.exists(e, e.operator in ['In', 'Exists']))",message="at least one requirement must be an equality, In or Exists"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchLabels) || self.matchLabels.all(k, k.startsWith('quota.weir.dev/') || k == 'kubernetes.io/metadata.name')",message="select by labels under quota.weir.dev/ or by kubernetes.io/metadata.name: others can be set by the teams themselves"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.key.startsWith('quota.weir.dev/') || e.key == 'kubernetes.io/metadata.name')",message="select by labels under quota.weir.dev/ or by kubernetes.io/metadata.name: others can be set by the teams themselves"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// namespaces whose pods draw on this quota, by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:MinLength=1
	Namespaces []string `json:"namespaces,omitempty"`

	// devices are the classes that limits of this tree are about; only a root has them. Without any there is one class,
	// gpu, and every GPU that is known counts as one of it. Entries with the same name are one class in several sizes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Devices []Device `json:"devices,omitempty"`

	// limits of what may be held at a time, by class. A class without a limit is unlimited here.
	// +optional
	// +listType=map
	// +listMapKey=device
	// +kubebuilder:validation:MaxItems=32
	Limits []Limit `json:"limits,omitempty"`

	// perWorkload bounds what a single pod or workload may ask for.
	// +optional
	PerWorkload *PerWorkload `json:"perWorkload,omitempty"`

	// enforcement says what is done where a limit would be exceeded.
	// +optional
	Enforcement Enforcements `json:"enforcement,omitzero"`

	// suspend stops enforcing the limits of this quota; use is still counted.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ParentReference names a quota.
type ParentReference struct {
	// name of the quota.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
}

// Device is a class of devices, or one size of it.
type Device struct {
	// name of the class, which limits refer to.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// match says which devices belong to the class.
	Match DeviceMatch `json:"match"`

	// units that one device counts, as a whole number or a fraction such as 1/7. The default is 1.
	// +optional
	// +kubebuilder:default="1"
	// +kubebuilder:validation:MaxLength=9
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,3}(/[1-9][0-9]{0,3})?$`
	Units string `json:"units,omitempty"`
}

// DeviceMatch recognises devices.
type DeviceMatch struct {
	// resourceNames of containers that ask for such a device, such as nvidia.com/gpu.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:MinLength=1
	ResourceNames []string `json:"resourceNames"`

	// nodeLabels that the node of the device has. A pod counts for the class if a node selector or a required affinity
	// pins it to such nodes or it is bound to one; one that could land on several classes counts for each until then.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	NodeLabels map[string]string `json:"nodeLabels,omitempty"`
}

// Limit bounds what may be held of a class.
type Limit struct {
	// device is the name of the class.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Device string `json:"device"`

	// hard is how many units may be held at a time, as a whole number or a fraction such as 16/7. 0 allows none.
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]{0,8}(/[1-9][0-9]{0,3})?)$`
	Hard string `json:"hard"`
}

// PerWorkload bounds what one pod or workload asks for, whatever is free.
type PerWorkload struct {
	// maxGPUs is how many units of all classes together a workload of a commit may ask for.
	// +optional
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]{0,8}(/[1-9][0-9]{0,3})?)$`
	MaxGPUs string `json:"maxGPUs,omitempty"`

	// maxPerPod is how many units of all classes together a pod may ask for.
	// +optional
	// +kubebuilder:validation:MaxLength=14
	// +kubebuilder:validation:Pattern=`^(0|[1-9][0-9]{0,8}(/[1-9][0-9]{0,3})?)$`
	MaxPerPod string `json:"maxPerPod,omitempty"`

	// allowedDevices are the only classes that pods may ask for. Empty allows all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	AllowedDevices []string `json:"allowedDevices,omitempty"`
}

// Enforcement is what is done where a limit would be exceeded.
//
// +kubebuilder:validation:Enum=Enforce;Warn;Off
type Enforcement string

// The ways to enforce.
const (
	// Enforce refuses.
	Enforce Enforcement = "Enforce"
	// Warn lets it pass and says so.
	Warn Enforcement = "Warn"
	// Off only counts.
	Off Enforcement = "Off"
)

// Enforcements is what is done at each point.
type Enforcements struct {
	// gate is what is done about a revision of a Kustomization or HelmRelease that would exceed a limit. The default is
	// Enforce: nothing of it is written.
	// +optional
	// +kubebuilder:default=Enforce
	Gate Enforcement `json:"gate,omitempty"`

	// admission is what is done about a pod that would exceed a limit. The default is Enforce: it is not admitted.
	// +optional
	// +kubebuilder:default=Enforce
	Admission Enforcement `json:"admission,omitempty"`
}

// GPUQuotaStatus is what is held and what is left.
type GPUQuotaStatus struct {
	// observedGeneration is the generation that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastHandledReconcileAt is the last value of the annotation reconcile.fluxcd.io/requestedAt that was acted upon.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// conditions: Ready, Exceeded, Overlapping, UnknownDevice, and Reconciling and Stalled while True.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// devices are the figures of each class that is limited or in use, this quota and those below it together. They are
	// at most ten seconds old.
	// +optional
	// +listType=map
	// +listMapKey=name
	Devices []DeviceStatus `json:"devices,omitempty"`

	// namespaces is how many namespaces draw on this very quota.
	// +optional
	Namespaces int64 `json:"namespaces,omitempty"`

	// summary of the classes, used/hard each, as in "h100 12/16".
	// +optional
	Summary string `json:"summary,omitempty"`
}

// DeviceStatus are the figures of one class, in units.
type DeviceStatus struct {
	// name of the class.
	Name string `json:"name"`

	// hard is the limit; absent without one.
	// +optional
	Hard string `json:"hard,omitempty"`

	// used is what pods hold.
	Used string `json:"used"`

	// reserved is what was promised and is not held yet: pods on their way, revisions that were granted, and slots of
	// workloads whose pods are being replaced.
	Reserved string `json:"reserved"`

	// available is what is left here and in every quota above; absent if nothing limits it.
	// +optional
	Available string `json:"available,omitempty"`
}

// GPUQuota is a budget of GPUs that holds whoever asks for them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=gpuquotas,scope=Cluster,shortName=gq,categories=weir
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Used",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parentRef.name`
// +kubebuilder:printcolumn:name="Exceeded",type=string,JSONPath=`.status.conditions[?(@.type=="Exceeded")].status`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name may have at most 63 characters"
type GPUQuota struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec GPUQuotaSpec `json:"spec,omitempty"`
	// +kubebuilder:default={observedGeneration:-1}
	Status GPUQuotaStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions of the status.
func (q *GPUQuota) GetConditions() []metav1.Condition { return q.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (q *GPUQuota) SetConditions(conditions []metav1.Condition) { q.Status.Conditions = conditions }

// GPUQuotaList is a list of GPUQuotas.
//
// +kubebuilder:object:root=true
type GPUQuotaList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []GPUQuota `json:"items"`
}
