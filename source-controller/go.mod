module github.com/weir-gitops/weir/source-controller

go 1.27.0

toolchain go1.27.4
