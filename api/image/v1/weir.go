// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/api/meta"
)

// WeirSpec holds the fields of spec that Weir adds. The controller looks for it in the schema of the live CRD to tell
// Weir's CRD from Flux's.
type WeirSpec struct {
	// images are looked for in registries by this automation itself, without ImageRepository and ImagePolicy. A marker
	// refers to one as <namespace>:<automation>/<image>.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	// +optional
	Images []Image `json:"images,omitempty"`

	// targets are fields that are written without a marker, for files in which a comment cannot stand.
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Targets []Target `json:"targets,omitempty"`

	// pullRequest proposes the commits instead of pushing them to the branch that was checked out.
	// +optional
	PullRequest *PullRequest `json:"pullRequest,omitempty"`
}

// Image is one image, or model, that Git is kept up to date with.
type Image struct {
	// name of this entry, for markers, targets and messages.
	// +kubebuilder:validation:Pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// image is the name of the repository, without scheme and tag, such as ghcr.io/team/model.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Image string `json:"image"`

	RegistryAccess `json:",inline"`

	// interval between two looks at the registry. Defaults to the interval of the automation.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// timeout of one look at the registry. Defaults to one minute.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m))+$"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// exclusionList holds regular expressions; tags that match one are left out. Signatures and other attachments that
	// cosign and OCI referrers store as tags are always left out.
	// +kubebuilder:validation:MaxItems=25
	// +optional
	ExclusionList []string `json:"exclusionList,omitempty"`

	// filterTags leaves out tags, and says which part of a tag is ordered.
	// +optional
	FilterTags *TagFilter `json:"filterTags,omitempty"`

	// policy orders the tags.
	// +required
	Policy ImageChoice `json:"policy"`

	// digestReflectionPolicy says whether the digest is written beside the tag: Always (the default) follows the tag to
	// what it stands for now, IfNotPresent keeps the digest that it stood for when it was picked, Never writes the tag
	// alone. With gates or verify, Never is refused: what is judged is what has to be written.
	// +kubebuilder:default:=Always
	// +optional
	DigestReflectionPolicy ReflectionPolicy `json:"digestReflectionPolicy,omitempty"`

	// verify asks for a signature of the candidate's digest.
	// +optional
	Verify *Verification `json:"verify,omitempty"`

	// gates are what a candidate has to pass, all of them.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Gates []Gate `json:"gates,omitempty"`

	// minAge is how long a digest must have been known to this automation before it is written. It counts from the time
	// at which it was first seen, never from what the image says of itself.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +optional
	MinAge *metav1.Duration `json:"minAge,omitempty"`

	// windows say when Git may change.
	// +optional
	Windows *Windows `json:"windows,omitempty"`
}

// ImageChoice says in which order candidates are. Exactly one field is set.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type ImageChoice struct {
	ImagePolicyChoice `json:",inline"`

	// timestamp picks the latest time.
	// +optional
	Timestamp *TimestampPolicy `json:"timestamp,omitempty"`

	// digest follows one tag, whatever digest it stands for.
	// +optional
	Digest *DigestPolicy `json:"digest,omitempty"`

	// cel orders candidates by an expression.
	// +optional
	CEL *CELPolicy `json:"cel,omitempty"`
}

// TimestampPolicy orders tags as points in time.
type TimestampPolicy struct {
	// layout of the time in the way of Go's package time: how Mon Jan 2 15:04:05 MST 2006 would be written, such as
	// 20060102-150405.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Layout string `json:"layout"`
}

// DigestPolicy follows one tag.
type DigestPolicy struct {
	// tag to follow, such as stable.
	// +kubebuilder:validation:Pattern="^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
	// +required
	Tag string `json:"tag"`
}

// CELPolicy orders candidates by an expression over tag, annotations and labels. Where an expression reads more than the
// tag, at most 200 candidates may be left after filterTags, since each has to be read from the registry.
type CELPolicy struct {
	// match is a condition; candidates for which it is false, or fails, are left out.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`

	// key is what candidates are ordered by, a number or a text, such as num(annotations['ml.eval.accuracy']). The highest
	// wins. Candidates for which it fails are left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Key string `json:"key"`
}

// Verification asks for a signature.
type Verification struct {
	// provider of the signature: cosign.
	// +kubebuilder:validation:Enum=cosign
	// +kubebuilder:default:=cosign
	// +optional
	Provider string `json:"provider,omitempty"`

	// secretRef names a Secret whose keys that end in .pub are PEM public keys. A signature by any of them will do.
	// +required
	SecretRef meta.LocalObjectReference `json:"secretRef"`
}

// Baseline says what a gate compares a candidate with.
// +kubebuilder:validation:Enum=Current;BestAccepted
type Baseline string

// Values of Baseline.
const (
	// BaselineCurrent is the digest that Git holds. It is the default.
	BaselineCurrent Baseline = "Current"
	// BaselineBestAccepted is the best of all digests that Git has held and that were not rejected.
	BaselineBestAccepted Baseline = "BestAccepted"
)

// NoBaselinePolicy says what becomes of a candidate that a gate has nothing to compare with.
// +kubebuilder:validation:Enum=Hold;Pass
type NoBaselinePolicy string

// Values of NoBaselinePolicy.
const (
	// NoBaselineHold holds the candidate until somebody approves it. It is the default.
	NoBaselineHold NoBaselinePolicy = "Hold"
	// NoBaselinePass lets the candidate pass this gate.
	NoBaselinePass NoBaselinePolicy = "Pass"
)

// Gate is a condition that a candidate has to meet.
//
// +kubebuilder:validation:XValidation:rule="has(self.best) == (has(self.baseline) && self.baseline == 'BestAccepted')",message="best is required with baseline BestAccepted, and refused otherwise"
type Gate struct {
	// name of the gate, for messages and trailers.
	// +kubebuilder:validation:Pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name"`

	// expression is a condition in CEL over candidate and baseline, each with tag, digest, annotations (those of the
	// manifest), labels (those of the config; for an index the expression has to hold for every platform), artifactType
	// and platform. num(text) reads a number and fails for anything else. An expression that fails is not met.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Expression string `json:"expression"`

	// baseline is what candidates are compared with, if the expression reads baseline: Current (the default), the digest
	// that Git holds, or BestAccepted, the best of those that Git has held.
	// +optional
	Baseline Baseline `json:"baseline,omitempty"`

	// best is a number in CEL over candidate; the accepted digest for which it is highest is the baseline BestAccepted.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Best string `json:"best,omitempty"`

	// onNoBaseline says what becomes of a candidate when the expression reads baseline and there is none: Hold (the
	// default) or Pass.
	// +optional
	OnNoBaseline NoBaselinePolicy `json:"onNoBaseline,omitempty"`
}

// Windows say when Git may change. While a deny window is open it may not; otherwise it may if an allow window is open or
// there is none.
type Windows struct {
	// allow lists windows in which Git may change.
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Allow []Window `json:"allow,omitempty"`

	// deny lists windows in which it may not. They win.
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Deny []Window `json:"deny,omitempty"`
}

// Window is a span of time that comes back.
type Window struct {
	// schedule says when the window opens: the five fields of cron, such as "0 8 * * MON-FRI".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Schedule string `json:"schedule"`

	// duration is how long the window stays open, at most 744h.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern="^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"
	// +required
	Duration metav1.Duration `json:"duration"`

	// timeZone that schedule is in, such as Europe/Berlin. Defaults to UTC.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
}
