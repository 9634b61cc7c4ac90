{{- /*
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- /* Annotations of a hook. Takes a list: its events, and its weight; those with the least weight go first. */ -}}
{{- define "serving.hook" -}}
helm.sh/hook: {{ index . 0 }}
helm.sh/hook-weight: {{ index . 1 | quote }}
{{- /* What failed stays until the next attempt, so that somebody can look at it. */}}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- /* The spec of a Job that runs once. Takes a list: the root context, the component, its deadline, its arguments, its account. */ -}}
{{- define "serving.job" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
backoffLimit: 1
activeDeadlineSeconds: {{ index . 2 }}
template:
  metadata:
    labels:
      {{- include "common.selector" (list $root $component) | nindent 6 }}
      acme-ml.example/talks-to-api: "true"
  spec:
    restartPolicy: Never
    serviceAccountName: {{ index . 4 }}
    automountServiceAccountToken: true
    {{- include "common.pod" (list $root $component dict) | nindent 4 }}
    containers:
      - name: {{ $component }}
        {{- include "common.container" (list $root (dict "image" $root.Values.hooks.image "resources" $root.Values.controller.resources)) | nindent 8 }}
        args:
          {{- toYaml (index . 3) | nindent 10 }}
        env:
          {{- include "common.environment" (list $root) | nindent 10 }}
{{- end -}}

{{- /* The names of the runtimes that are wanted, in order, with commas between them. */ -}}
{{- define "serving.runtimes" -}}
{{- $names := list -}}
{{- range $name, $runtime := .Values.runtimes -}}
{{- if $runtime.enabled }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- $names | sortAlpha | join "," -}}
{{- end -}}
