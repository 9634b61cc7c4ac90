# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# The go command fetches the toolchain that go.mod names. Without cgo no C compiler is needed. Images are built without the
# paths of this machine, so all else is, too: build, test, lint, demo and images share what is compiled, and so do several
# checkouts. VCS stamps are left out because they fail in a checkout that somebody else owns.
export GOTOOLCHAIN := auto
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(GOFLAGS) -trimpath -buildvcs=false)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Modules of the workspace, and those outside of it, whose dependencies must not leak into the others.
MODULES     := api pkg source-controller kustomize-controller gpu-quota-controller image-automation-controller helm-controller hack
OUTSIDE     := hack/cluster hack/tools
CONTROLLERS := source-controller kustomize-controller gpu-quota-controller image-automation-controller helm-controller

# The program that runs a real Kubernetes.
CLUSTER := GOWORK=off go -C hack/cluster run .

TEST_TIMEOUT ?= 15m
# Most tests wait for an API server most of the time.
TEST_PARALLEL ?= 6

##@ Use

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: deps kubernetes ## Watch commits reach a real Kubernetes API server. KEEP=1 leaves it running.
	KEEP=$(KEEP) go run ./hack/demo

.PHONY: bench
bench: deps kubernetes ## Measure the controllers beside a bare client. ONLY=ks runs a part.
	ONLY=$(ONLY) go run ./hack/bench

# What chaos and soak need: a real node, unless they are told to have processes.
GROUND_DEPS := $(if $(filter processes,$(GROUND)),deps kubernetes,deps-e2e kubernetes-node)

.PHONY: chaos
chaos: $(GROUND_DEPS) ## Break what can break, and tell what was lost. ONLY=kill,disk runs some, GROUND=processes needs no root.
	go run ./hack/chaos -only "$(ONLY)" -ground "$(or $(GROUND),pods)" -minutes "$(or $(CHAOS_MINUTES),10)"

.PHONY: soak
soak: $(GROUND_DEPS) ## Two hours of commits: what grows? SOAK_MINUTES=30 is shorter.
	go run ./hack/chaos -soak "$(or $(SOAK_MINUTES),120)" -ground "$(or $(GROUND),pods)"

.PHONY: cluster-up
cluster-up: ## Start a Kubernetes of your own. ARGS="--gpu-nodes 3" adds nodes.
	@$(CLUSTER) up $(ARGS)

.PHONY: cluster-env
cluster-env: ## Print what a shell needs to use it.
	@$(CLUSTER) env $(ARGS)

.PHONY: cluster-status
cluster-status: ## Tell how it is.
	@$(CLUSTER) status $(ARGS)

.PHONY: cluster-down
cluster-down: ## End it and remove what it left.
	@$(CLUSTER) down $(ARGS)

##@ Build and test

.PHONY: build
build: ## Build all controllers into bin/.
	go build -o bin/ $(addprefix ./,$(CONTROLLERS))

.PHONY: images
images: ## Build an image of each controller. ARGS="--push ghcr.io/you" pushes them.
	@go run ./hack/images $(ARGS)

.PHONY: test
test: deps-test kubernetes build ## Run all tests, those against a real API server too.
	go test -timeout $(TEST_TIMEOUT) -parallel $(TEST_PARALLEL) work
	GOWORK=off go -C hack/cluster test -timeout $(TEST_TIMEOUT) ./...

.PHONY: test-race
test-race: deps-test kubernetes build ## Run the tests of the workspace with the race detector. Needs a C compiler.
	CGO_ENABLED=1 go test -race -shuffle=on -timeout $(TEST_TIMEOUT) -parallel $(TEST_PARALLEL) work

.PHONY: e2e
e2e: deps-e2e kubernetes-node ## Run Weir as pods on a real node: the demo's story, and what only pods can show. As root.
	go run ./hack/demo --node
	go test -tags e2e -count 1 -timeout 25m ./hack/e2e/pods
	go test -tags e2e -count 1 -timeout 5m -run TestNode ./pkg/testkit
	GOWORK=off go -C hack/cluster test -tags e2e -count 1 -timeout 10m -run TestNode .

.PHONY: deps
deps: ## Install what the demo needs beside Go: git, from Debian.
	@hack/deps.sh

.PHONY: deps-test
deps-test: ## The same for the tests, which run a Prometheus and a registry too.
	@hack/deps.sh prometheus docker_registry

.PHONY: deps-e2e
deps-e2e: deps ## The same for the tests on a real node, which need what runs containers.
	@hack/deps.sh node

.PHONY: kubernetes
kubernetes: ## Build Kubernetes from Go modules, once: some minutes the first time.
	@$(CLUSTER) build >/dev/null

.PHONY: kubernetes-node
kubernetes-node: ## The same with what a real node needs: some minutes more.
	@$(CLUSTER) build --node >/dev/null

.PHONY: clean
clean: ## Remove what was built.
	rm -rf bin hack/bench/results.json

##@ Change

.PHONY: generate
generate: ## Make deep copies and CRDs from the Go types.
	@hack/generate.sh

.PHONY: fmt
fmt: ## Format all Go code.
	@hack/lint.sh fmt "$(MODULES)" "$(OUTSIDE)"

.PHONY: tidy
tidy: ## Tidy every go.mod.
	for m in $(MODULES) $(OUTSIDE); do GOWORK=off go -C $$m mod tidy; done

.PHONY: lint
lint: ## Lint all Go code.
	@hack/lint.sh run "$(MODULES)" "$(OUTSIDE)"

##@ Check

.PHONY: verify
verify: verify-deps verify-headers verify-tidy verify-generate lint ## All of the checks below, and lint.

.PHONY: verify-deps
verify-deps: ## One version of Kubernetes, controller-runtime and Flux libraries in all modules.
	@hack/verify-deps.sh $(MODULES) hack/tools

.PHONY: verify-headers
verify-headers: ## Every source file names its copyright and licence.
	@hack/verify-headers.sh

.PHONY: verify-tidy
verify-tidy: ## Every go.mod and go.sum is tidy.
	@hack/verify-tidy.sh $(MODULES) $(OUTSIDE)

.PHONY: verify-generate
verify-generate: ## Generated files are what the Go types say.
	@hack/verify-generate.sh
