// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	helmv2 "github.com/weir-gitops/weir/api/helm/v2"
	"github.com/weir-gitops/weir/helm-controller/internal/controller/helmrelease"
	"github.com/weir-gitops/weir/helm-controller/internal/helm"
	"github.com/weir-gitops/weir/helm-controller/internal/values"
)

// ValuesCommand is the argument that makes the program print the values of a
// HelmRelease and end.
const ValuesCommand = "values"

// Values writes the values of a HelmRelease, given as namespace/name, as YAML:
// those of spec.valuesFrom in their order, and over them spec.values. What comes
// from a Secret is masked. The values of the chart itself are not among them.
func Values(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || strings.Count(args[0], "/") != 1 {
		return fmt.Errorf("usage: helm-controller %s NAMESPACE/NAME", ValuesCommand)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find a Kubernetes API server: %w", err)
	}
	reader, err := client.New(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	namespace, name, _ := strings.Cut(args[0], "/")
	obj := &helmv2.HelmRelease{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		return fmt.Errorf("read HelmRelease %s: %w", args[0], err)
	}
	merged, err := values.Mask(ctx, helmrelease.ReadValues(reader, namespace), helm.SetValue, obj)
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(merged)
	if err != nil {
		return fmt.Errorf("print the values: %w", err)
	}
	_, err = out.Write(text)
	return err
}
