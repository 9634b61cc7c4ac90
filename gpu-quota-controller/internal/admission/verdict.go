// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/ledger"
)

// Values of the label decision.
const (
	decisionAllowed = "allowed"
	decisionWarned  = "warned"
	decisionDenied  = "denied"
	decisionRetry   = "retry"
	decisionSkipped = "skipped"
	decisionInvalid = "invalid"
)

// maxWarnings is how many warnings go with an answer: the API server cuts what
// is too long altogether.
const maxWarnings = 8

// verdict is an answer before it is written.
type verdict struct {
	decision string
	// code is 0 if the pod is allowed.
	code     int32
	reason   metav1.StatusReason
	message  string
	causes   []metav1.StatusCause
	warnings []string
}

func allowed(decision string) verdict { return verdict{decision: decision} }

func denied(message string) verdict {
	return verdict{decision: decisionDenied, code: http.StatusForbidden, reason: metav1.StatusReasonForbidden, message: message}
}

// retry is for what may be answered otherwise in a moment: clients of the API
// try again by themselves.
func retry(message string) verdict {
	return verdict{decision: decisionRetry, code: http.StatusTooManyRequests, reason: metav1.StatusReasonTooManyRequests, message: message}
}

func invalid(message string) verdict {
	return verdict{decision: decisionInvalid, code: http.StatusBadRequest, reason: metav1.StatusReasonBadRequest, message: message}
}

// verdictOf is the answer to a decision of the ledger.
func verdictOf(d ledger.Decision) verdict {
	switch d.Outcome {
	case ledger.Admitted:
		v := allowed(decisionAllowed)
		if len(d.Warnings) > 0 {
			v.decision, v.warnings = decisionWarned, d.Warnings[:min(len(d.Warnings), maxWarnings)]
		}
		return v
	case ledger.Exceeded, ledger.Never:
		v := denied(d.Text())
		v.causes = d.Causes()
		return v
	case ledger.Closed, ledger.Busy:
	}
	return retry(d.Text())
}

// response is the verdict as the API server reads it.
func (v verdict) response(r *request) *admissionv1.AdmissionResponse {
	response := &admissionv1.AdmissionResponse{UID: r.UID, Allowed: v.code == 0, Warnings: v.warnings}
	if response.Allowed {
		return response
	}
	details := &metav1.StatusDetails{Kind: "pods", Causes: v.causes}
	if r.Object != nil {
		details.Name = r.Object.Name
	}
	if v.code == http.StatusTooManyRequests {
		details.RetryAfterSeconds = 1
	}
	response.Result = &metav1.Status{
		Status: metav1.StatusFailure, Code: v.code, Reason: v.reason, Message: v.message, Details: details,
	}
	return response
}
