// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// byAccount is how a policy says whom it holds.
const byAccount = "request.userInfo.username == 'system:serviceaccount:%s:%s'"

// TestPoliciesHoldTheAccounts checks that in every overlay the policies about an
// account of Weir's name the account that the overlay has.
func TestPoliciesHoldTheAccounts(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, in *installation) {
		held := map[string]bool{}
		for _, object := range in.objects {
			name, _, found := strings.Cut(object.GetName(), "-own-")
			if !found || object.GetKind() != "ValidatingAdmissionPolicy" {
				continue
			}
			account := strings.TrimPrefix(name, "weir-")
			policy := typed[admissionregistrationv1.ValidatingAdmissionPolicy](t, object)
			want := fmt.Sprintf(byAccount, in.namespace, account)
			if got := policy.Spec.MatchConditions; len(got) != 1 || got[0].Expression != want {
				t.Errorf("%s: match conditions %v, want %s", identify(object), got, want)
			}
			if !slices.ContainsFunc(in.objects, func(o *unstructured.Unstructured) bool {
				return o.GetKind() == "ValidatingAdmissionPolicyBinding" && o.GetName() == object.GetName()
			}) {
				t.Errorf("%s is not bound", identify(object))
			}
			held[account] = true
		}
		for _, account := range []string{"source-controller", "gpu-quota-controller", "image-automation-controller"} {
			if held[account] != (in.deployments[account] != nil) {
				t.Errorf("a policy holds %s: %t", account, held[account])
			}
		}
	})
}

// A write is one request of an account.
type write struct {
	user string
	// target is an object of testdata/held.yaml: its kind, and its name if that is not held.
	target string
	// patch is one that the kind understands; if it is empty the target is created.
	patch string
	sub   string
	// refusal is what the policy says, "" if the write passes.
	refusal string
}

func heldWrites() map[string]write {
	const (
		spec       = `{"spec":{"suspend":true}}`
		finalizer  = `{"metadata":{"finalizers":["finalizers.fluxcd.io","example.com/keep"]}}`
		others     = `{"metadata":{"finalizers":["finalizers.fluxcd.io"]}}`
		another    = `{"metadata":{"finalizers":["example.com/keep","example.com/more"]}}`
		label      = `{"metadata":{"labels":{"team":"b"}}}`
		ask        = `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}}}`
		wake       = `{"metadata":{"annotations":{"quota.weir.dev/retry":"now"}}}`
		annotation = `{"metadata":{"annotations":{"example.com/keep":"no"}}}`
		removed    = `{"metadata":{"annotations":null}}`
		owner      = `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u"}]}}`
		lead       = `{"metadata":{"labels":{"weir.dev/leader":"true"},"annotations":{"weir.dev/lease":"l"}}}`
		unmark     = `{"metadata":{"labels":{"weir.dev/leader":null}}}`
		image      = `{"spec":{"containers":[{"name":"c","image":"evil"}]}}`
		status     = `{"status":{"observedGeneration":1}}`
	)
	sc, qc, ic := sourceController, quotaController, imageController
	return map[string]write{
		"source: finalizer":                    {sc, "GitRepository", finalizer, "", ""},
		"source: status":                       {sc, "GitRepository", status, "status", ""},
		"source: the URL":                      {sc, "GitRepository", `{"spec":{"url":"https://evil.example"}}`, "", "the spec of anything"},
		"source: another's finalizer":          {sc, "GitRepository", others, "", "of finalizers"},
		"source: a label of a source":          {sc, "GitRepository", `{"metadata":{"labels":{"weir.dev/leader":"true"}}}`, "", "no label"},
		"source: an annotation of a source":    {sc, "GitRepository", ask, "", "no annotation"},
		"source: mark the leader":              {sc, "Pod", lead, "", ""},
		"source: unmark it":                    {sc, "Pod marked", unmark, "", ""},
		"source: another label of a pod":       {sc, "Pod", label, "", "no label"},
		"source: remove a label of a pod":      {sc, "Pod", `{"metadata":{"labels":{"team":null}}}`, "", "no label"},
		"source: another annotation of a pod":  {sc, "Pod", annotation, "", "no annotation"},
		"source: remove annotations of a pod":  {sc, "Pod", removed, "", "no annotation"},
		"source: the image of its pod":         {sc, "Pod", image, "", "the spec of anything"},
		"source: a finalizer of its pod":       {sc, "Pod", another, "", "of finalizers"},
		"source: an owner of its pod":          {sc, "Pod", owner, "", "no owners"},
		"source: mark another's pod":           {sc, "Pod other", lead, "", "its own service account"},
		"source: the image of another's pod":   {sc, "Pod other", image, "", "the spec of anything"},
		"image: finalizer":                     {ic, "ImageRepository", finalizer, "", ""},
		"image: status":                        {ic, "ImageRepository", status, "status", ""},
		"image: another image":                 {ic, "ImageRepository", `{"spec":{"image":"evil.example/x"}}`, "", "the spec of anything"},
		"image: annotation of its own":         {ic, "ImageRepository", ask, "", "no annotation"},
		"image: ask for a look":                {ic, "GitRepository", ask, "", ""},
		"image: ask for the first look":        {ic, "GitRepository bare", ask, "", ""},
		"image: the URL":                       {ic, "GitRepository", `{"spec":{"url":"https://evil.example"}}`, "", "the spec of anything"},
		"image: suspend a source":              {ic, "GitRepository", spec, "", "the spec of anything"},
		"image: a finalizer of a source":       {ic, "GitRepository", finalizer, "", "of finalizers"},
		"image: a label of a source":           {ic, "GitRepository", label, "", "no owners and labels"},
		"image: another annotation":            {ic, "GitRepository", annotation, "", "no annotation"},
		"image: remove annotations":            {ic, "GitRepository", removed, "", "no annotation"},
		"quota: wake a StatefulSet":            {qc, "StatefulSet", wake, "", ""},
		"quota: wake a ReplicaSet":             {qc, "ReplicaSet", wake, "", ""},
		"quota: wake a Job":                    {qc, "Job", wake, "", ""},
		"quota: scale a StatefulSet":           {qc, "StatefulSet", `{"spec":{"replicas":0}}`, "", "the spec of anything"},
		"quota: the image of a ReplicaSet":     {qc, "ReplicaSet", `{"spec":{"template":{"spec":` + image[8:len(image)-1] + `}}}`, "", "the spec of anything"},
		"quota: suspend a Job":                 {qc, "Job", spec, "", "the spec of anything"},
		"quota: a label of a Job":              {qc, "Job", label, "", "no owners and labels"},
		"quota: an owner of a ReplicaSet":      {qc, "ReplicaSet", owner, "", "no owners"},
		"quota: another annotation":            {qc, "StatefulSet", annotation, "", "no annotation"},
		"quota: a finalizer of a Job":          {qc, "Job", another, "", "of finalizers"},
		"quota: finalizer":                     {qc, "GPUQuota", `{"metadata":{"finalizers":["quota.weir.dev/finalizer"]}}`, "", ""},
		"quota: the limit":                     {qc, "GPUQuota", `{"spec":{"limits":[{"device":"gpu","hard":"9"}]}}`, "", "the spec of anything"},
		"quota: make its webhook":              {qc, "ValidatingWebhookConfiguration gpu-quota", "", "", ""},
		"quota: make another webhook":          {qc, "ValidatingWebhookConfiguration other", "", "", "no webhook but gpu-quota"},
		"quota: be asked about Secrets":        {qc, "ValidatingWebhookConfiguration gpu-quota nosy", "", "", "and about nothing else"},
		"quota: be asked about deletions":      {qc, "ValidatingWebhookConfiguration gpu-quota mighty", "", "", "and about nothing else"},
		"quota: make its certificate":          {qc, "Secret gpu-quota-webhook-certificate", "", "", ""},
		"quota: make another Secret":           {qc, "Secret other", "", "", "no webhook but gpu-quota"},
		"quota: get another account's token":   {qc, "Secret gpu-quota-webhook-certificate token", "", "", "kubernetes.io/tls"},
		"somebody else: the image of a pod":    {"", "Pod other", image, "", ""},
		"somebody else: wake and more":         {"", "StatefulSet", `{"metadata":{"annotations":null},"spec":{"replicas":0}}`, "", ""},
		"somebody else: another webhook":       {"", "ValidatingWebhookConfiguration gpu-quota nosy", "", "", ""},
		"somebody else: a label and an URL":    {"", "GitRepository", `{"metadata":{"labels":null},"spec":{"url":"https://other.example/x"}}`, "", ""},
		"somebody else: a finalizer of a Pod":  {"", "Pod", another, "", ""},
		"somebody else: any type of a Secret":  {"", "Secret gpu-quota-webhook-certificate token", "", "", ""},
		"somebody else: annotations of a Pod":  {"", "Pod", annotation, "", ""},
		"somebody else: the limit of a quota":  {"", "GPUQuota", `{"metadata":{"labels":{"a":"b"}}}`, "", ""},
		"somebody else: an owner of its own":   {"", "Job", owner, "", ""},
		"somebody else: spec of its own image": {"", "ImageRepository", spec, "", ""},
	}
}

// heldObjects reads testdata/held.yaml. The annotation that tells objects of one
// name apart is taken off.
func heldObjects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "held.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*unstructured.Unstructured{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		object, err := parse(document)
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		id := object.GetKind()
		if object.GetName() != "held" {
			id += " " + object.GetName()
		}
		if which := object.GetAnnotations()["which"]; which != "" {
			id += " " + which
			unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "which")
		}
		all[id] = object
	}
	return all
}

// TestAccountsAreHeld tries, as the accounts of the controllers, what they have
// to write and what their roles would let them write besides.
func TestAccountsAreHeld(t *testing.T) {
	t.Parallel()
	admin := installed(t, "")
	createNamespaces(t, as(t, ""), map[string]map[string]string{"held": nil})
	objects := heldObjects(t)
	for _, object := range objects {
		// Those are created by the writes.
		if kind := object.GetKind(); kind == "ValidatingWebhookConfiguration" || kind == "Secret" {
			continue
		}
		if err := admin.apply(t.Context(), object, false); err != nil {
			t.Fatalf("%s: %v", identify(object), err)
		}
	}
	for name, w := range heldWrites() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := connect(w.user)
			if err != nil {
				t.Fatal(err)
			}
			if objects[w.target] == nil {
				t.Fatalf("testdata has no %s", w.target)
			}
			// Policies and roles count a moment after they were written.
			err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
				err = s.write(ctx, objects[w.target], w)
				if w.refusal == "" {
					return err == nil, nil
				}
				return apierrors.IsForbidden(err) && strings.Contains(err.Error(), w.refusal), nil
			})
			if err != nil {
				t.Errorf("%s by %q: %v, want refusal %q", w.patch, w.user, s.write(t.Context(), objects[w.target], w), w.refusal)
			}
		})
	}
}

// write dry-runs a write.
func (s *server) write(ctx context.Context, object *unstructured.Unstructured, w write) error {
	if w.patch == "" {
		return s.create(ctx, object)
	}
	resource, err := s.resource(object)
	if err != nil {
		return err
	}
	form := types.StrategicMergePatchType
	if strings.Contains(object.GroupVersionKind().Group, ".") {
		form = types.MergePatchType
	}
	var sub []string
	if w.sub != "" {
		sub = []string{w.sub}
	}
	_, err = resource.Patch(ctx, object.GetName(), form, []byte(w.patch), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, sub...)
	return err
}
