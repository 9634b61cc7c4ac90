// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/weir-gitops/weir/pkg/inventory"
)

var (
	deploymentKind = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	secretKind     = schema.GroupKind{Kind: "Secret"}
)

func TestObjectErrorNamesTheOrigin(t *testing.T) {
	ref := inventory.Ref{Namespace: "ns", Name: "web", Group: "apps", Kind: "Deployment"}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"with a reason":    {apierrors.NewBadRequest("odd"), "Deployment/ns/web dry-run failed (BadRequest) (infra/dev/server.yaml:12): odd"},
		"without a reason": {errors.New("no answer"), "Deployment/ns/web dry-run failed (infra/dev/server.yaml:12): no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			err := &ObjectError{Ref: ref, Doing: "dry-run", Origin: "infra/dev/server.yaml:12", Err: tc.err}
			if err.Error() != tc.want {
				t.Errorf("got  %q\nwant %q", err, tc.want)
			}
		})
	}
}

func TestObjectError(t *testing.T) {
	deployment := inventory.Ref{Namespace: "ns", Name: "web", Group: "apps", Kind: "Deployment"}
	secret := inventory.Ref{Namespace: "ns", Name: "s", Kind: "Secret"}
	replicas, password := field.NewPath("spec", "replicas"), field.NewPath("data").Key("password")
	for name, tc := range map[string]struct {
		ref  inventory.Ref
		err  error
		want string
	}{
		"plain": {deployment, errors.New("no answer"), "Deployment/ns/web apply failed: no answer"},
		"with a reason": {
			deployment, apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "web", errors.New("no")),
			`Deployment/ns/web apply failed (Forbidden): deployments.apps "web" is forbidden: no`,
		},
		"wrapped": {
			deployment, fmt.Errorf("send: %w", apierrors.NewBadRequest("odd")),
			"Deployment/ns/web apply failed (BadRequest): send: odd",
		},
		"managed fields of another version": {
			deployment, errors.New(".spec.policy: field not declared in schema"),
			`Deployment/ns/web apply failed: .spec.policy: field not declared in schema; its metadata.managedFields are of another version of the kind: reset them to [{}] with a JSON patch`,
		},
		"immutable": {
			deployment, apierrors.NewInvalid(deploymentKind, "web", field.ErrorList{field.Invalid(replicas, 1, "field is immutable")}),
			`Deployment/ns/web apply failed (Invalid): Deployment.apps "web" is invalid: spec.replicas: Invalid value: 1: field is immutable; to have it deleted and created anew, set its force annotation to enabled`,
		},
		"unknown kind": {
			deployment, &meta.NoKindMatchError{GroupKind: deploymentKind, SearchedVersions: []string{"v1"}},
			`Deployment/ns/web apply failed: no matches for kind "Deployment" in version "apps/v1"; install its CustomResourceDefinition first, or declare it in the same set`,
		},
		"secret, invalid": {
			secret, apierrors.NewInvalid(secretKind, "s", field.ErrorList{field.Invalid(password, "hunter2", "bad"), field.Required(field.NewPath("data").Key("a"), ""), field.Invalid(password, "hunter2", "worse")}),
			"Secret/ns/s apply failed (Invalid): data[a]: FieldValueRequired, data[password]: FieldValueInvalid",
		},
		"secret, bad request": {
			secret, apierrors.NewBadRequest("cannot decode hunter2"),
			"Secret/ns/s apply failed (BadRequest): the API server rejects its content",
		},
		"secret, internal error": {
			secret, apierrors.NewInternalError(errors.New("typed patch of hunter2")),
			"Secret/ns/s apply failed (InternalError): the API server rejects its content",
		},
		"secret, forbidden": {
			secret, apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", errors.New("no")),
			`Secret/ns/s apply failed (Forbidden): secrets "s" is forbidden: no`,
		},
		"secret of another group": {
			inventory.Ref{Namespace: "ns", Name: "s", Group: "example.com", Kind: "Secret"}, apierrors.NewBadRequest("odd"),
			"Secret/ns/s apply failed (BadRequest): odd",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := &ObjectError{Ref: tc.ref, Doing: "apply", Err: tc.err}
			if got := err.Error(); got != tc.want {
				t.Errorf("error\n%s\nwant\n%s", got, tc.want)
			}
			if !errors.Is(err, tc.err) {
				t.Error("the cause is not wrapped")
			}
		})
	}
}

func TestJoinErrors(t *testing.T) {
	last := errors.New("e5")
	for name, tc := range map[string]struct {
		count int
		want  string
	}{
		"none":  {0, ""},
		"one":   {1, "e1"},
		"two":   {2, "e1; e2"},
		"five":  {5, "e1; e2; e3; e4; e5"},
		"six":   {6, "e1; e2; e3; e4; e5; and 1 more"},
		"eight": {8, "e1; e2; e3; e4; e5; and 3 more"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs []error
			for i := range tc.count {
				err := fmt.Errorf("e%d", i+1)
				if i == 4 {
					err = last
				}
				errs = append(errs, err)
			}
			err := joinErrors(errs)
			if tc.want == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if err == nil || err.Error() != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if got := errors.Is(err, last); got != (tc.count >= 5) {
				t.Errorf("the fifth error is wrapped: %t", got)
			}
			if tc.count > 5 && errs[5].Error() != "e6" {
				t.Error("the caller's list was changed")
			}
		})
	}
}

func TestPartial(t *testing.T) {
	refused := errors.New("refused")
	change := func(action Action, names ...string) (out []Change) {
		for _, name := range names {
			out = append(out, Change{Ref: inventory.Ref{Kind: "K", Name: name}, Action: action})
		}
		return out
	}
	for name, tc := range map[string]struct {
		changes []Change
		want    string
	}{
		"nothing written": {change(Unchanged, "a"), "refused"},
		"some":            {append(change(Unchanged, "a"), change(Created, "b", "c")...), "refused (applied before: K/b created, K/c created)"},
		"many":            {change(Configured, strings.Split("abcdefg", "")...), "refused (applied before: K/a configured, K/b configured, K/c configured, K/d configured, K/e configured and 2 more)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&writer{changes: tc.changes}).partial(refused)
			if err.Error() != tc.want || !errors.Is(err, refused) {
				t.Errorf("error %q, want %q", err, tc.want)
			}
		})
	}
}

func TestImmutable(t *testing.T) {
	invalid := func(detail string) error {
		return apierrors.NewInvalid(deploymentKind, "web", field.ErrorList{field.Invalid(field.NewPath("spec"), nil, detail)})
	}
	resource := schema.GroupResource{Resource: "things"}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"Job, Deployment":       {invalid("field is immutable"), true},
		"StatefulSet":           {apierrors.NewForbidden(resource, "db", errors.New("updates to statefulset spec for fields other than 'replicas' are forbidden")), true},
		"Service":               {invalid("may not be changed once set"), true},
		"Secret's type":         {invalid("may not be updated"), true},
		"RoleBinding":           {invalid("cannot change roleRef: cannot be changed"), true},
		"webhook":               {apierrors.NewBadRequest("admission webhook denied the request: spec.size can't be changed"), true},
		"conflict":              {apierrors.NewConflict(resource, "x", errors.New("field is immutable")), true},
		"bad value":             {invalid("must be greater than zero"), false},
		"no right":              {apierrors.NewForbidden(resource, "x", errors.New("user may not patch")), false},
		"server error":          {apierrors.NewInternalError(errors.New("field is immutable")), false},
		"not the server's word": {errors.New("field is immutable"), false},
		"wrapped":               {fmt.Errorf("send: %w", invalid("field is immutable")), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := immutable(tc.err); got != tc.want {
				t.Errorf("immutable(%v) = %t, want %t", tc.err, got, tc.want)
			}
		})
	}
}

func TestNameAtFault(t *testing.T) {
	invalid := func(at string) error {
		return apierrors.NewInvalid(deploymentKind, "web", field.ErrorList{field.Invalid(field.NewPath(at), "x", "bad")})
	}
	for at, want := range map[string]bool{"metadata.name": true, "metadata.generateName": true, "spec.name": false} {
		if got := nameAtFault(invalid(at)); got != want {
			t.Errorf("nameAtFault(%s) = %t, want %t", at, got, want)
		}
	}
}
