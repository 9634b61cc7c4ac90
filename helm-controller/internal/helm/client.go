// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"fmt"
	"strings"

	sdkkube "helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// What the SDK marks the objects of a release with.
const (
	nameAnnotation      = "meta.helm.sh/release-name"
	namespaceAnnotation = "meta.helm.sh/release-namespace"
	managedByLabel      = "app.kubernetes.io/managed-by"
)

// whole is everything that the SDK asks of a client.
type whole interface {
	sdkkube.Interface
	sdkkube.InterfaceExt
	sdkkube.InterfaceThreeWayMerge
	sdkkube.InterfaceLogs
	sdkkube.InterfaceDeletionPropagation
	sdkkube.InterfaceResources
}

// client is the client of one action. It makes good what the SDK leaves out.
type client struct {
	whole

	// name and namespace of the release.
	name, namespace string
	// get reads an object of the cluster.
	get func(*resource.Info) (*unstructured.Unstructured, error)
	// leftovers are manifests of revisions beside the one that the SDK takes for
	// what is there. What is left of them has to go like the rest.
	leftovers []string
	// undeleted is what could not be deleted, which the SDK does not tell.
	undeleted []error
}

// Update implements kube.Interface.
func (c *client) Update(original, target sdkkube.ResourceList, force bool) (*sdkkube.Result, error) {
	left, err := c.left(original, target)
	if err != nil {
		return &sdkkube.Result{}, err
	}
	return c.whole.Update(append(original, left...), target, force)
}

// left returns the objects of the leftovers that are there, belong to the
// release, and are in neither list.
func (c *client) left(known, wanted sdkkube.ResourceList) (sdkkube.ResourceList, error) {
	var left sdkkube.ResourceList
	for _, manifest := range c.leftovers {
		list, err := c.Build(strings.NewReader(manifest), false)
		if err != nil {
			return nil, fmt.Errorf("read the objects of an earlier revision: %w", err)
		}
		for _, info := range list.Difference(known).Difference(wanted).Difference(left) {
			live, err := c.get(info)
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return nil, fmt.Errorf("read %s '%s' of an earlier revision: %w", info.Mapping.GroupVersionKind.Kind, info.Name, err)
			case c.owns(live):
				left = append(left, info)
			}
		}
	}
	return left, nil
}

// owns reports whether an object belongs to the release and does not ask to be
// kept.
func (c *client) owns(live *unstructured.Unstructured) bool {
	notes := live.GetAnnotations()
	return notes[nameAnnotation] == c.name && notes[namespaceAnnotation] == c.namespace &&
		notes[sdkkube.ResourcePolicyAnno] != sdkkube.KeepPolicy
}

// Delete implements kube.Interface.
func (c *client) Delete(resources sdkkube.ResourceList) (*sdkkube.Result, []error) {
	result, errs := c.whole.Delete(resources)
	c.undeleted = append(c.undeleted, errs...)
	return result, errs
}

// DeleteWithPropagationPolicy implements kube.InterfaceDeletionPropagation. It
// is what an uninstall deletes the release with.
func (c *client) DeleteWithPropagationPolicy(resources sdkkube.ResourceList, policy metav1.DeletionPropagation) (*sdkkube.Result, []error) {
	left, err := c.left(resources, nil)
	if err != nil {
		c.undeleted = append(c.undeleted, err)
		return &sdkkube.Result{}, []error{err}
	}
	result, errs := c.whole.DeleteWithPropagationPolicy(append(resources, left...), policy)
	c.undeleted = append(c.undeleted, errs...)
	return result, errs
}
