{{- /*
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- /* repository and tag as a reference; the tag is that of the application if the values name none. */ -}}
{{- define "common.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- printf "%s/%s:%s" $root.Values.global.imageRegistry $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}

{{- /* What every pod has, whatever the values say. Takes the root context, the component, and the values for its pod. */ -}}
{{- define "common.pod" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 2 -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if gt (int ($values.replicas | default 1)) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "common.selector" (list $root $component) | nindent 8 }}
{{- end }}
{{- end -}}

{{- /* What every container has. Takes the root context and the values with image and resources. */ -}}
{{- define "common.container" -}}
{{- $root := index . 0 -}}{{- $values := index . 1 -}}
image: {{ include "common.image" (list $root $values.image) }}
imagePullPolicy: {{ $root.Values.global.imagePullPolicy }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "common.environment" -}}
{{- $global := (index . 0).Values.global -}}
- name: ENVIRONMENT
  value: {{ $global.environment | quote }}
- name: REGION
  value: {{ $global.region | quote }}
- name: LOG_LEVEL
  value: {{ $global.logLevel | quote }}
- name: LOG_FORMAT
  value: {{ $global.logFormat | quote }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{- /* Both answer on the port that is named health. */ -}}
{{- define "common.probes" -}}
livenessProbe:
  httpGet:
    path: /healthz
    port: health
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}
