// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/runtime/logger"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
	"github.com/weir-gitops/weir/gpu-quota-controller/internal/webhook"
	"github.com/weir-gitops/weir/pkg/app"
)

// awaitDefinition returns once there is such a thing as a GPUQuota, and false
// if ctx or an error came first. Meanwhile the webhook that an earlier process
// has left is removed: it would hold up pods for no limit at all.
func awaitDefinition(ctx context.Context, o *Options) (bool, error) {
	config := o.Config
	if config == nil {
		var err error
		if config, err = ctrl.GetConfig(); err != nil {
			return false, fmt.Errorf("find a Kubernetes API server: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return false, fmt.Errorf("make the client that looks for CustomResourceDefinition %s: %w", quotav1.GPUQuotaCRD, err)
	}
	if err := removeOrphan(ctx, c); err != nil {
		return false, err
	}
	log := logger.NewLogger(o.Log)
	if o.Logger != nil {
		log = *o.Logger
	}
	return app.AwaitSchema(ctx, c, log, quotav1.GPUQuotaCRD, quotav1.GroupVersion.Version, "spec"), nil
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
