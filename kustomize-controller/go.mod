module github.com/weir-gitops/weir/kustomize-controller

go 1.27.0

toolchain go1.27.4
