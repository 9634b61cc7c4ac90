// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package meta

// LocalObjectReference names an object in the namespace of the object that refers to it.
type LocalObjectReference struct {
	// name of the object.
	// +required
	Name string `json:"name"`
}

// SecretKeyReference names a Secret, and optionally one key of it, in the namespace of the object that refers to it.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	Name string `json:"name"`

	// key to read. If empty, the field that holds this reference says which key is read.
	// +optional
	Key string `json:"key,omitempty"`
}

// NamespacedObjectKindReference names one object of any kind.
type NamespacedObjectKindReference struct {
	// apiVersion of the object, such as apps/v1. If empty, the version that the cluster prefers is used.
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`

	// kind of the object.
	// +required
	Kind string `json:"kind"`

	// name of the object.
	// +required
	Name string `json:"name"`

	// namespace of the object. Defaults to the namespace of the object that refers to it.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// DependencyReference names an object of the same kind that has to be ready first.
type DependencyReference struct {
	// name of the dependency.
	// +required
	Name string `json:"name"`

	// namespace of the dependency. Defaults to the namespace of the object that depends on it.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// readyExpr is a CEL expression over self (the dependent) and dep (the dependency) that yields true when dep is
	// ready. It takes the place of the built-in check, unless the controller is told to require both.
	// +optional
	ReadyExpr string `json:"readyExpr,omitempty"`
}

// KubeConfigReference says where the access data of another cluster is kept.
// +kubebuilder:validation:XValidation:rule="has(self.configMapRef) != has(self.secretRef)", message="exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified"
type KubeConfigReference struct {
	// configMapRef names a ConfigMap that describes how to reach the cluster without a stored secret. Its keys are
	// provider (aws, azure, gcp or generic), cluster, address, ca.crt, audiences and serviceAccountName. Excludes
	// secretRef.
	// +optional
	ConfigMapRef *LocalObjectReference `json:"configMapRef,omitempty"`

	// secretRef names a Secret that holds a kubeconfig file, by default under the key value or value.yaml. The file
	// should be self-contained: the controller's image has no credential helpers. Excludes configMapRef.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}

// String returns the reference as [namespace/]name[@readyExpr].
func (r DependencyReference) String() string {
	s := r.Name
	if r.Namespace != "" {
		s = r.Namespace + "/" + s
	}
	if r.ReadyExpr != "" {
		s += "@" + r.ReadyExpr
	}
	return s
}

// NamespacedObjectReference names an object of a known kind, perhaps in another namespace.
type NamespacedObjectReference struct {
	// name of the object.
	// +required
	Name string `json:"name"`

	// namespace of the object. Defaults to the namespace of the object that refers to it.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}
