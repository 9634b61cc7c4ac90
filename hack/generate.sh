#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Makes deep copies and CRDs from the Go types.
set -euo pipefail
cd "$(dirname "$0")/.."

export GOWORK=off
controller_gen="$(go -C hack/tools tool -n controller-gen)"
tools="$PWD/hack/tools"
kustomize_crds="$PWD/kustomize-controller/config/crd"
source_crds="$PWD/source-controller/config/crd"
quota_crds="$PWD/gpu-quota-controller/config/crd"
image_crds="$PWD/image-automation-controller/config/crd"
helm_crds="$PWD/helm-controller/config/crd"

# Our own types.
(
	cd api
	"$controller_gen" object:headerFile="$tools/header.go.txt" paths=./...
	"$controller_gen" crd:headerFile="$tools/header.yaml.txt",omitToolVersion=true \
		paths=./kustomize/... output:crd:dir="$kustomize_crds"
	"$controller_gen" crd:headerFile="$tools/header.yaml.txt",omitToolVersion=true \
		paths=./quota/... output:crd:dir="$quota_crds"
	"$controller_gen" crd:headerFile="$tools/header.yaml.txt",omitToolVersion=true \
		paths=./image/... output:crd:dir="$image_crds"
	"$controller_gen" crd:headerFile="$tools/header.yaml.txt",omitToolVersion=true \
		paths=./helm/... output:crd:dir="$helm_crds"
)

# Types of Flux: the CRD that source-controller owns, and what the tests of our own types compare with.
flux_crd() { # <package> <kind> <file> [flag…]
	local file="$3" made
	mkdir -p "$(dirname "$file")"
	made="$(go -C "$tools" run ./fluxcrd -package "$1" -kind "$2" "${@:4}")"
	printf '%s\n' "$made" >"$file"
}
flux_crd github.com/fluxcd/source-controller/api/v1 GitRepository \
	"$source_crds/source.toolkit.fluxcd.io_gitrepositories.yaml" -category weir -header header.yaml.txt
flux_crd github.com/fluxcd/source-controller/api/v1 OCIRepository \
	"$source_crds/source.toolkit.fluxcd.io_ocirepositories.yaml" -category weir -header header.yaml.txt
flux_crd github.com/fluxcd/source-controller/api/v1 HelmRepository \
	"$source_crds/source.toolkit.fluxcd.io_helmrepositories.yaml" -category weir -header header.yaml.txt
flux_crd github.com/fluxcd/source-controller/api/v1 HelmChart \
	"$source_crds/source.toolkit.fluxcd.io_helmcharts.yaml" -category weir -header header.yaml.txt
flux_crd github.com/fluxcd/kustomize-controller/api/v1 Kustomization \
	"$PWD/api/kustomize/v1/testdata/flux_kustomizations.yaml" -header header.yaml.txt
flux_crd github.com/fluxcd/image-automation-controller/api/v1 ImageUpdateAutomation \
	"$PWD/api/image/v1/testdata/flux_imageupdateautomations.yaml" -header header.yaml.txt
flux_crd github.com/fluxcd/image-reflector-controller/api/v1 ImageRepository \
	"$PWD/api/image/v1/testdata/flux_imagerepositories.yaml" -header header.yaml.txt
flux_crd github.com/fluxcd/image-reflector-controller/api/v1 ImagePolicy \
	"$PWD/api/image/v1/testdata/flux_imagepolicies.yaml" -header header.yaml.txt
flux_crd github.com/fluxcd/helm-controller/api/v2 HelmRelease \
	"$PWD/api/helm/v2/testdata/flux_helmreleases.yaml" -header header.yaml.txt
