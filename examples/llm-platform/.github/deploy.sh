#!/usr/bin/env bash
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0

# Applies one environment's overlays in dependency order with kubectl. Usage: deploy.sh dev|staging|production
set -euo pipefail

environment=${1:?usage: deploy.sh dev|staging|production}
infra=$(cd "$(dirname "$0")/../infra" && pwd)
settings=$infra/$environment/weir/cluster.env
[ -f "$settings" ] || { echo "no such environment: $environment" >&2; exit 2; }

# What the controllers take from spec.postBuild: the same settings, and the app's log level.
set -a
# shellcheck source=/dev/null
. "$settings"
: "${log_level:=info}"
set +a

render() {
  # The names are meant for envsubst: it replaces these and leaves every other $ alone.
  # shellcheck disable=SC2016
  kubectl kustomize "$infra/$environment/$1" |
    envsubst '$environment $region $model_bucket $data_bucket $log_level'
}

apply() {
  kubectl apply --server-side --force-conflicts --field-manager=cd -f - "$@"
}

roll_out() {
  echo "==> $1"
  render "$1" | apply
}

# A Job's template is immutable. Ask the API server first; only when that is why it refuses, replace the Job.
train() {
  local manifests refusal
  echo "==> training"
  manifests=$(render training)
  if ! refusal=$(apply --dry-run=server 2>&1 <<< "$manifests"); then
    case $refusal in
      *"field is immutable"*) kubectl --namespace team-training delete job finetune --ignore-not-found ;;
      *) echo "$refusal" >&2; return 1 ;;
    esac
  fi
  apply <<< "$manifests"
}

# Four hours, as spec.timeout of the training Kustomization. `kubectl wait` for one condition would sleep through the other.
await_training() {
  local ends=$((SECONDS + 14400))
  while [ "$SECONDS" -lt "$ends" ]; do
    case $(kubectl --namespace team-training get job finetune \
      --output 'jsonpath={.status.conditions[?(@.status=="True")].type}') in
      *Failed*) break ;;
      *Complete*) return ;;
    esac
    sleep 10
  done
  echo "the training Job did not complete; nothing after it was applied" >&2
  return 1
}

roll_out platform
roll_out feature-store
kubectl --namespace team-data rollout status statefulset/feature-store --timeout=5m
roll_out pipelines
train
await_training
roll_out model-server
kubectl --namespace team-serving rollout status deployment/model-server --timeout=45m
roll_out chat
kubectl --namespace team-serving rollout status deployment/chat --timeout=10m
