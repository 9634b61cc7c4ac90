// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Package admission answers the API server's reviews of pods: what a pod asks
// for, which quota that is charged to, and whether the ledger has room.
package admission

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gitops/weir/gpu-quota-controller/internal/holdings"
	"github.com/weir-gitops/weir/pkg/gpu"
	"github.com/weir-gitops/weir/pkg/ledger"
)

const (
	// maxBody is what a review may have: two pods as large as etcd takes them,
	// and what is around them.
	maxBody = 4 << 20
	// maxInFlight is how many reviews are answered at a time. A pod of a review
	// beyond that is tried again.
	maxInFlight = 4096
	// answerWithin is how long a review may take. API servers wait 5 s.
	answerWithin = 4500 * time.Millisecond
)

// Router says which quota a namespace draws on.
type Router interface {
	// Owner returns the quota of a namespace, and the root and the classes of
	// its tree. ok is false if no quota selects it.
	Owner(ctx context.Context, namespace string) (route Route, ok bool, err error)
}

// Route is where the pods of a namespace are charged.
type Route struct {
	Quota, Root string
	Catalogue   *gpu.Catalogue
}

// Ledger keeps the books. It is a ledger.Store.
type Ledger interface {
	Admit(ctx context.Context, root string, claim ledger.Claim) (ledger.Decision, error)
	Get(ctx context.Context, root string) (*ledger.Record, error)
}

// Walker finds out who made a pod. It is a holdings.Walker.
type Walker interface {
	Walk(ctx context.Context, controller *holdings.Owner) ([]holdings.Owner, error)
}

// Denied is told of pods that there was no room for.
type Denied interface {
	// Add is told what was asked for, in which tree, and who made the pod. It
	// must not block.
	Add(root string, claim ledger.Claim, controller holdings.Owner)
}

// Handler answers reviews. It can be used by many at a time.
type Handler struct {
	Router Router
	Ledger Ledger
	Walker Walker
	// Node returns the labels of a node, nil if it is not known.
	Node func(name string) map[string]string
	// Excluded reports whether pods of a namespace are never looked at.
	Excluded func(namespace string) bool
	// DenyUnselected denies devices where no quota selects the namespace.
	DenyUnselected bool
	Denied         Denied
	Metrics        *Metrics
	Log            logr.Logger
}

// ServeHTTP implements http.Handler. What is no review that the API server
// could have sent is refused with 400 and changes nothing.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	inFlight := h.Metrics.enter()
	defer h.Metrics.leave()
	review, err := read(w, r)
	if err != nil {
		h.Metrics.observe(decisionInvalid, began)
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, err.Error(), status)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	verdict := retry("too many pods are being reviewed: try again in a moment")
	if inFlight <= maxInFlight {
		verdict = h.review(ctx, review.Request)
	}
	h.Metrics.observe(verdict.decision, began)
	answer := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: reviewKind},
		Response: verdict.response(review.Request),
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // who has gone needs no answer
}

// review decides about one pod.
func (h *Handler) review(ctx context.Context, request *request) verdict {
	if err := request.check(); err != nil {
		return invalid(err.Error())
	}
	if h.Excluded(request.Namespace) {
		return allowed(decisionSkipped)
	}
	shape, fault := gpu.PodShape(request.Object.Annotations, &request.Object.Spec)
	if shape.Resources.IsZero() && fault == nil {
		return allowed(decisionSkipped)
	}
	route, otherwise := h.route(ctx, request.Namespace)
	switch {
	case otherwise != nil:
		return *otherwise
	case fault != nil:
		return denied("what the pod asks for cannot be counted: " + fault.Error())
	}
	claim := h.claim(request, route, shape)
	if claim.Amounts.IsZero() {
		return allowed(decisionSkipped)
	}
	chain := h.chain(ctx, request)
	claim.Owner = holdings.SlotOwner(chain).UID
	for i := range chain {
		claim.Chain = append(claim.Chain, chain[i].Key())
	}
	decision, err := h.decide(ctx, route.Root, claim, request.dryRun())
	if err != nil {
		h.Log.Error(err, "cannot decide about a pod", "namespace", claim.Namespace, "pod", claim.Name, "quota", claim.Quota)
		return retry(err.Error())
	}
	if decision.Outcome == ledger.Exceeded || decision.Outcome == ledger.Never {
		h.tell(route.Root, claim, chain, decision, request.dryRun())
	}
	return verdictOf(decision)
}

// route finds where pods of a namespace are charged, or what becomes of them
// otherwise.
func (h *Handler) route(ctx context.Context, namespace string) (Route, *verdict) {
	route, owned, err := h.Router.Owner(ctx, namespace)
	var otherwise verdict
	switch {
	case apierrors.IsNotFound(err):
		otherwise = invalid("there is no namespace " + namespace)
	case err != nil:
		otherwise = retry(err.Error())
	case owned:
		return route, nil
	case h.DenyUnselected:
		otherwise = denied("namespace " + namespace + " draws on no GPUQuota, and GPUs are only given to those that do: have a quota select it")
	default:
		otherwise = allowed(decisionSkipped)
	}
	return route, &otherwise
}

// claim is what the pod is to be charged for. A resize is charged for what it
// adds.
func (h *Handler) claim(request *request, route Route, shape gpu.Shape) ledger.Claim {
	var node map[string]string
	if name := request.Object.Spec.NodeName; name != "" {
		node = h.Node(name)
	}
	amounts := route.Catalogue.Charge(shape, node)
	claim := ledger.Claim{
		Pod: request.Object.UID, Namespace: request.Namespace, Name: request.Object.Name, Quota: route.Quota,
		Amounts: amounts, Total: total(route.Catalogue, shape, node, amounts),
	}
	if request.OldObject != nil {
		// What cannot be counted was not charged either.
		before, _ := gpu.PodShape(request.OldObject.Annotations, &request.OldObject.Spec)
		claim.Amounts = amounts.Sub(route.Catalogue.Charge(before, node))
	}
	return claim
}

// total is how many units the pod asks for. One that could land on several
// classes is charged to all of them and asks for one.
func total(catalogue *gpu.Catalogue, shape gpu.Shape, node map[string]string, amounts gpu.Amounts) gpu.Amount {
	if len(amounts) == 1 {
		return amounts.Total()
	}
	var sum gpu.Amount
	for name, amount := range shape.Resources {
		var most gpu.Amount
		for _, units := range catalogue.Charge(gpu.Shape{Resources: gpu.Amounts{name: amount}, Pins: shape.Pins}, node) {
			most = gpu.Max(most, units)
		}
		sum = sum.Add(most)
	}
	return sum
}

// chain is who made the pod, as far as that can be found out: what is not known
// makes an ordinary charge of it.
func (h *Handler) chain(ctx context.Context, request *request) []holdings.Owner {
	controller := request.Object.controller()
	if controller == nil {
		return nil
	}
	chain, err := h.Walker.Walk(ctx, holdings.OwnerOf(request.Namespace, controller))
	if err != nil {
		h.Log.V(1).Info("cannot find out who made a pod; it is charged as any other", "namespace", request.Namespace, "pod", request.Object.Name, "error", err.Error())
	}
	return chain
}

// decide asks the ledger. A dry-run reserves nothing.
func (h *Handler) decide(ctx context.Context, root string, claim ledger.Claim, dryRun bool) (ledger.Decision, error) {
	if !dryRun {
		return h.Ledger.Admit(ctx, root, claim)
	}
	record, err := h.Ledger.Get(ctx, root)
	if err != nil {
		return ledger.Decision{}, err
	}
	return record.Admit(claim), nil
}

// tell makes a denial known to whoever wants to know.
func (h *Handler) tell(root string, claim ledger.Claim, chain []holdings.Owner, decision ledger.Decision, dryRun bool) {
	for _, over := range decision.Over {
		h.Metrics.Denied(over.Quota, over.Device, Point)
	}
	if dryRun {
		return
	}
	controller := ""
	if len(chain) > 0 {
		controller = chain[0].Kind + "/" + chain[0].Name
		// What can never fit fits when a limit is raised.
		if len(decision.Over) > 0 && h.Denied != nil {
			h.Denied.Add(root, claim, chain[0])
		}
	}
	h.Log.Info("denied a pod", "namespace", claim.Namespace, "pod", claim.Name, "owner", controller, "quota", claim.Quota, "outcome", string(decision.Outcome), "text", decision.Text())
}
