{{- /*
# Copyright 2026 The Weir Authors
# SPDX-License-Identifier: Apache-2.0
*/ -}}
{{- /* Objects that are the same for every component, whole. Each takes the root context and the component. */ -}}

{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "common.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{- /* Binds the ClusterRole of the same name to the ServiceAccount of the same component. */ -}}
{{- define "common.clusterRoleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  {{- include "common.clusterMetadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "common.clusterName" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "common.name" . }}
    namespace: {{ (index . 0).Release.Namespace }}
{{- end -}}

{{- /* Leases to elect a leader by, and events. */ -}}
{{- define "common.leaderRole" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "common.metadata" . | nindent 2 }}
rules:
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [get, list, watch, create, update, patch]
  - apiGroups: [events.k8s.io]
    resources: [events]
    verbs: [create, patch]
{{- end -}}

{{- define "common.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "common.metadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "common.name" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "common.name" . }}
    namespace: {{ (index . 0).Release.Namespace }}
{{- end -}}

{{- /* A pod that cannot become ready must not keep its node from being repaired. */ -}}
{{- define "common.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "common.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "common.selector" . | nindent 6 }}
{{- end -}}

{{- /* Out to the API server, whose address no policy can name, and to the cluster's name service. */ -}}
{{- define "common.egress" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    - port: 443
    - port: 6443
{{- end -}}

{{- define "common.fromMonitoring" -}}
- from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: monitoring
  ports:
    - port: metrics
{{- end -}}
