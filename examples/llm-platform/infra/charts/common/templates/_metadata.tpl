{{- /*
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- /* Every template takes a list: the root context, then the name of the component that it is about. */ -}}

{{- /* The name of a component's objects: release and component. */ -}}
{{- define "common.name" -}}
{{- printf "%s-%s" (index . 0).Release.Name (index . 1) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* Cluster-wide objects carry the namespace too, so that two releases do not meet. */ -}}
{{- define "common.clusterName" -}}
{{- printf "%s:%s" (index . 0).Release.Namespace (include "common.name" .) -}}
{{- end -}}

{{- define "common.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{- define "common.labels" -}}
{{- $root := index . 0 -}}
{{ include "common.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ $root.Values.global.partOf }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "common.metadata" -}}
name: {{ include "common.name" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "common.labels" . | nindent 2 }}
{{- end -}}

{{- define "common.clusterMetadata" -}}
name: {{ include "common.clusterName" . }}
labels:
  {{- include "common.labels" . | nindent 2 }}
{{- end -}}
