// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/pkg/gpu"
)

// Outcome is the answer to a claim.
type Outcome string

const (
	// Admitted says that the pod may be created.
	Admitted Outcome = "Admitted"
	// Exceeded says that there is no room now. The pod may be tried again.
	Exceeded Outcome = "Exceeded"
	// Never says that it can not be admitted as long as the quota and the pod are what they are.
	Never Outcome = "Never"
	// Closed says that what is held is not known. The same request may be sent again in a moment.
	Closed Outcome = "Closed"
	// Busy says that too much is on its way. The same request may be sent again in a moment.
	Busy Outcome = "Busy"
)

// Decision is what was decided about a claim.
type Decision struct {
	Outcome Outcome
	// Over are the limits that an Exceeded or Never is about, from the quota to the root, by device.
	Over []Over
	// Warnings are limits that would refuse the pod if they were enforced, in words.
	Warnings []string
	// Changed: the record has a reservation that it had not.
	Changed bool
	// Reason in words, of a Closed or Busy, or of a Never that is about no limit.
	Reason string
}

// Over is a limit of a quota that is in the way.
type Over struct {
	Quota, Device string
	// Requested is what of the request needs free quota.
	Requested gpu.Amount
	// Used is what is held, Reserved what was promised, both in the quota and below it.
	Used, Reserved gpu.Amount
	Hard           gpu.Amount
	// Rule is set if not Hard is in the way but a bound of perWorkload, in words.
	Rule string
}

// By is how much is missing.
func (o Over) By() gpu.Amount { return o.Used.Add(o.Reserved).Add(o.Requested).Sub(o.Hard) }

// String is the limit and how far it is exceeded.
func (o Over) String() string {
	return fmt.Sprintf("GPUQuota %q: %s", o.Quota, o.figures())
}

func (o Over) figures() string {
	return fmt.Sprintf("%s requested %s, used %s, reserved %s, hard %s, over by %s",
		o.Device, o.Requested, o.Used, o.Reserved, o.Hard, o.By())
}

// never is why it can not fit.
func (o Over) never() string {
	if o.Rule != "" {
		return fmt.Sprintf("GPUQuota %q: %s", o.Quota, o.Rule)
	}
	return fmt.Sprintf("GPUQuota %q: %s requested %s can never fit, hard %s", o.Quota, o.Device, o.Requested, o.Hard)
}

// Text is the decision in one line that is the same for the same numbers, or ""
// if the claim was admitted. Only that of Exceeded has the phrase "exceeded
// quota:", by which workflow engines recognise that trying again makes sense.
func (d Decision) Text() string {
	switch {
	case d.Outcome == Exceeded:
		return ExceededText(d.Over)
	case len(d.Over) > 0:
		return NeverText(d.Over)
	}
	return d.Reason
}

// Err is Text as an error, nil if the claim was admitted.
func (d Decision) Err() error {
	if d.Outcome == Admitted {
		return nil
	}
	return errors.New(d.Text())
}

// ExceededText is what there is no room in, in one line.
func ExceededText(over []Over) string {
	return "exceeded quota: " + join(over, Over.String)
}

// NeverText is why something can never fit, in one line.
func NeverText(over []Over) string { return join(over, Over.never) }

// Causes is Text by limit, for details.causes of a Status: the field is
// quota/device.
func (d Decision) Causes() []metav1.StatusCause {
	causes := make([]metav1.StatusCause, 0, len(d.Over))
	for _, o := range d.Over {
		cause := metav1.StatusCause{Type: "GPUQuotaExceeded", Message: o.figures(), Field: o.Quota + "/" + o.Device}
		if d.Outcome == Never {
			cause.Type, cause.Message = "GPUQuotaNeverFits", o.never()
		}
		causes = append(causes, cause)
	}
	return causes
}

func join(over []Over, text func(Over) string) string {
	texts := make([]string, len(over))
	for i, o := range over {
		texts[i] = text(o)
	}
	return strings.Join(texts, "; ")
}

// sortOver puts the quotas of a path in its order and devices by name.
func sortOver(over []Over, path []string) {
	slices.SortStableFunc(over, func(a, b Over) int {
		return cmp.Or(
			cmp.Compare(slices.Index(path, a.Quota), slices.Index(path, b.Quota)),
			cmp.Compare(a.Device, b.Device),
			cmp.Compare(a.Rule, b.Rule),
		)
	})
}
