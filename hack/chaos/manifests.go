// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/weir-gitops/weir/hack/chaos/judge"
	"github.com/weir-gitops/weir/pkg/testkit"
)

// Where the load puts its objects. What ties it to the cluster is in none of
// these but the first.
const (
	ties     = "chaos-ties"
	apps     = "chaos-apps"
	releases = "chaos-releases"
	models   = "chaos-models"
	gpus     = "chaos-gpus"
)

const (
	// settings is how many ConfigMaps each commit changes.
	settings = 20
	// visitors is how many commits a visitor is away, and then there.
	visitors = 3
	// jobEvery is how many commits lie between two Jobs, and releaseEvery
	// between two versions of the release.
	jobEvery, releaseEvery = 30, 5
	// commitMark is the annotation that tells which commit an object is from.
	commitMark = "chaos.weir.dev/commit"
	// ranker is the image of which the automation commits new tags.
	ranker = "acme-ml/ranker"
)

// manifests is the file that a commit puts into the repository. The release has a
// version of its own.
func manifests(commit, version int) string {
	var b strings.Builder
	for i := range settings {
		fmt.Fprintf(&b, configMap, fmt.Sprintf("settings-%02d", i), apps, commit, commit)
	}
	for i := range 4 {
		if (commit/visitors+i)%2 == 0 {
			fmt.Fprintf(&b, configMap, fmt.Sprintf("visitor-%d", i), apps, commit, commit)
		}
	}
	fmt.Fprintf(&b, deployment, apps, commit, commit)
	fmt.Fprintf(&b, job, commit/jobEvery, apps)
	fmt.Fprintf(&b, helmRelease, ties, version)
	return b.String()
}

const configMap = `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: %s
  namespace: %s
  annotations:
    chaos.weir.dev/commit: "%d"
data:
  commit: "%d"
`

// No pod is started: what counts is that the Deployment stays the same one.
const deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: server
  namespace: %s
  annotations:
    chaos.weir.dev/commit: "%d"
spec:
  replicas: 0
  selector:
    matchLabels: {app: server}
  template:
    metadata:
      labels: {app: server}
    spec:
      containers:
        - name: server
          image: registry.example.com/server
          env:
            - {name: COMMIT, value: "%d"}
`

// It runs on a simulated node and is removed soon after it has completed.
const job = `---
apiVersion: batch/v1
kind: Job
metadata:
  name: train-%d
  namespace: %s
spec:
  ttlSecondsAfterFinished: 20
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      nodeSelector: {type: kwok}
      tolerations:
        - {key: kwok.x-k8s.io/node, operator: Exists}
      containers:
        - name: train
          image: registry.example.com/train
`

const helmRelease = `---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: release
  namespace: %s
spec:
  interval: 1m
  targetNamespace: chaos-releases
  releaseName: release
  maxHistory: 3
  chart:
    spec:
      chart: ./chart
      interval: 1m
      sourceRef: {kind: GitRepository, name: apps}
  install: {remediation: {retries: -1}}
  upgrade: {remediation: {retries: -1}}
  values:
    version: "%d"
`

// chartFiles is the chart that is released.
func chartFiles() map[string]string {
	return map[string]string{
		"chart/Chart.yaml":             "apiVersion: v2\nname: release\nversion: 1.0.0\n",
		"chart/templates/version.yaml": versionMap,
	}
}

// versionMap is what the release puts into the cluster.
const versionMap = `apiVersion: v1
kind: ConfigMap
metadata:
  name: version
  namespace: chaos-releases
  annotations:
    chaos.weir.dev/commit: {{ .Values.version | quote }}
data:
  commit: {{ .Values.version | quote }}
`

// tie is what connects the two repositories and the registry to the cluster.
func tie(git, registry string) string {
	return strings.NewReplacer("GIT", git, "REGISTRY", registry).Replace(tieText)
}

// tieText looks every second, because a commit is made every two.
const tieText = `
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: apps, namespace: chaos-ties}
spec: {url: GIT/apps.git, interval: 1s, timeout: 20s, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: chaos-ties}
spec:
  interval: 1m
  retryInterval: 5s
  timeout: 1m
  prune: true
  path: ./apps
  sourceRef: {kind: GitRepository, name: apps}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: models, namespace: chaos-ties}
spec: {url: GIT/models.git, interval: 1s, timeout: 20s, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: models, namespace: chaos-ties}
spec:
  interval: 1m
  retryInterval: 5s
  timeout: 1m
  prune: true
  path: ./
  sourceRef: {kind: GitRepository, name: models}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: {name: models, namespace: chaos-ties}
spec:
  sourceRef: {kind: GitRepository, name: models}
  interval: 1m
  git: {commit: {author: {name: Automation, email: automation@example.com}}}
  update: {path: ./, strategy: Setters}
  weir:
    images:
      - name: ranker
        image: REGISTRY/acme-ml/ranker
        insecure: true
        interval: 2s
        policy: {semver: {range: ">=1.0.0"}}
---
apiVersion: quota.weir.dev/v1alpha1
kind: GPUQuota
metadata: {name: chaos}
spec:
  namespaceSelector: {matchLabels: {quota.weir.dev/team: chaos}}
  limits: [{device: gpu, hard: "4"}]
`

// modelFile is what the automation changes.
func modelFile(registry string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: ranker
  namespace: %s
data:
  image: %s/%s:1.0.0 # {"$imagepolicy": "%s:models/ranker"}
`, models, registry, ranker, ties)
}

// parse reads a file of manifests.
func parse(text string) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	var list []*unstructured.Unstructured
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		if len(u.Object) > 0 {
			list = append(list, u)
		}
	}
}

// state is what a file of manifests says that a cluster is to hold.
func state(text string) (judge.State, error) {
	list, err := parse(text)
	if err != nil {
		return nil, err
	}
	held := judge.State{}
	for _, u := range list {
		held[refOf(u)] = contentOf(u)
	}
	return held, nil
}

// appFiles are those of one commit.
func appFiles(commit int, text string) map[string]testkit.GitFile {
	files := map[string]string{"apps/all.yaml": text}
	if commit == 1 {
		maps.Copy(files, chartFiles())
	}
	return testkit.Files(files)
}
