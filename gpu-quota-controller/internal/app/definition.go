// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
	"github.com/weir-gitops/weir/pkg/app"
)

// awaitDefinition returns once there is such a thing as a GPUQuota, or ctx has
// ended. Meanwhile the webhook that an earlier process has left is removed: it would
// hold up pods for no limit at all.
func awaitDefinition(ctx context.Context, config *rest.Config, log logr.Logger) error {
	c, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return fmt.Errorf("make the client that looks for CustomResourceDefinition %s: %w", quotav1.GPUQuotaCRD, err)
	}
	if err := removeOrphan(ctx, c); err != nil {
		return err
	}
	app.AwaitSchema(ctx, c, log, quotav1.GPUQuotaCRD, quotav1.GroupVersion.Version, "spec")
	return nil
}

// removeOrphan removes the webhook's configuration if GPUQuotas are not defined.
func removeOrphan(ctx context.Context, c client.Client) error {
	err := c.Get(ctx, client.ObjectKey{Name: quotav1.GPUQuotaCRD}, &apiextensionsv1.CustomResourceDefinition{})
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("look for CustomResourceDefinition %s: %w", quotav1.GPUQuotaCRD, err)
	}
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhook.ConfigurationName}}
	if err := c.Delete(ctx, configuration); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove ValidatingWebhookConfiguration %s, since there are no GPUQuotas: %w", webhook.ConfigurationName, err)
	}
	return nil
}
