// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"slices"
	"strings"
)

// shape is what kustomize takes for granted about the fields through which an object of some kind may refer to others. It
// goes along these fields in every build, and fails if they are of another shape.
type shape struct {
	fields map[string]*shape
	items  *shape
	// needsName is set for a reference that kustomize wants to have a name.
	needsName bool
	// isText is set for a scalar that has to be a string if it is there at all, and not even null.
	isText bool
}

// fits tells whether value has the shape. Missing and null values do. A shape without fields and items is a scalar.
func (s *shape) fits(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		return s.fields != nil && s.fitsMap(v)
	case []any:
		return s.items != nil && !slices.ContainsFunc(v, func(item any) bool { return !s.items.fits(item) })
	}
	return s.fields == nil && s.items == nil
}

func (s *shape) fitsMap(value map[string]any) bool {
	if name, ok := value["name"].(string); s.needsName && (!ok || name == "") {
		return false
	}
	for field, below := range s.fields {
		item, has := value[field]
		if _, ok := item.(string); has && below.isText && !ok || !below.fits(item) {
			return false
		}
	}
	return true
}

type fields = map[string]*shape

func object(f fields) *shape       { return &shape{fields: f} }
func listOf(items *shape) *shape   { return &shape{items: items} }
func scalar() *shape               { return &shape{} }
func namedRef(f fields) *shape     { return &shape{fields: f, needsName: true} }
func text() *shape                 { return &shape{isText: true} }
func named(field string) *shape    { return object(fields{field: scalar()}) }
func spec(s *shape) *shape         { return object(fields{"spec": s}) }
func within(podSpec *shape) fields { return fields{"template": spec(podSpec)} }

// shapes returns the shapes of all kinds whose references kustomize follows, whatever their group, except Node, whose
// objects are left to kustomize.
func shapes() map[string]*shape {
	fromVolume := fields{"configMap": named("name"), "secret": named("name")}
	container := object(fields{
		"env": listOf(object(fields{"valueFrom": object(fields{
			"configMapKeyRef": named("name"), "secretKeyRef": named("name"),
		})})),
		"envFrom": listOf(object(fields{"configMapRef": named("name"), "secretRef": named("name")})),
	})
	pod := object(fields{
		"volumes": listOf(object(fields{
			"configMap": named("name"), "secret": named("secretName"), "persistentVolumeClaim": named("claimName"),
			"projected": object(fields{"sources": listOf(object(fromVolume))}),
		})),
		"containers": listOf(container), "initContainers": listOf(container), "imagePullSecrets": listOf(named("name")),
		"serviceAccountName": scalar(), "priorityClassName": scalar(),
	})
	workload := spec(object(within(pod)))
	statefulSet := within(pod)
	statefulSet["serviceName"] = scalar()
	statefulSet["volumeClaimTemplates"] = listOf(spec(named("storageClassName")))
	rules := object(fields{"rules": listOf(object(fields{"resourceNames": listOf(scalar())}))})
	webhooks := object(fields{"webhooks": listOf(object(fields{"clientConfig": object(fields{
		"service": namedRef(fields{"name": scalar(), "namespace": scalar()}),
	})}))})
	binding := object(fields{
		"roleRef":  object(fields{"apiGroup": scalar(), "kind": scalar(), "name": scalar()}),
		"subjects": listOf(namedRef(fields{"kind": text(), "name": text(), "namespace": text()})),
	})
	return map[string]*shape{
		"Pod": spec(pod), "PodTemplate": object(within(pod)),
		"Deployment": workload, "ReplicaSet": workload, "DaemonSet": workload, "ReplicationController": workload,
		"Job": workload, "StatefulSet": spec(object(statefulSet)),
		"CronJob":                 spec(object(fields{"jobTemplate": spec(object(within(pod)))})),
		"HorizontalPodAutoscaler": spec(object(fields{"scaleTargetRef": named("name")})),
		"Ingress":                 spec(ingress()), "ServiceAccount": object(fields{"imagePullSecrets": listOf(named("name"))}),
		// Knative's; those of Kubernetes have no such fields.
		"Service": workload,
		"StorageClass": object(fields{"parameters": object(fields{
			"secretName": scalar(), "adminSecretName": scalar(), "userSecretName": scalar(), "secretRef": scalar(),
		})}),
		"PersistentVolume": spec(object(fields{
			"azureFile": named("secretName"), "storageClassName": scalar(),
		})),
		"PersistentVolumeClaim": spec(object(fields{"volumeName": scalar(), "storageClassName": scalar()})),
		"Role":                  rules, "ClusterRole": rules,
		"ValidatingAdmissionPolicyBinding": spec(named("policyName")),
		"APIService":                       spec(object(fields{"service": named("name")})),
		"ValidatingWebhookConfiguration":   webhooks, "MutatingWebhookConfiguration": webhooks,
		"RoleBinding": binding, "ClusterRoleBinding": binding,
	}
}

func ingress() *shape {
	service := object(fields{"name": scalar()})
	return object(fields{
		"tls":              listOf(named("secretName")),
		"backend":          named("serviceName"),
		"defaultBackend":   object(fields{"service": service}),
		"ingressClassName": scalar(),
		"rules": listOf(object(fields{"http": object(fields{"paths": listOf(object(fields{
			"backend": object(fields{"serviceName": scalar(), "service": service}),
		}))})})),
	})
}

// scope is what is known about a kind's place in namespaces.
type scope int

const (
	scopeUnknown scope = iota
	scopeCluster
	scopeNamespaced
)

// scopes returns the scopes of common kinds by apiVersion. Setting a namespace does no more to an object of these kinds
// than to set its metadata.namespace, if it has one at all; what kustomize changes further is not listed.
func scopes() map[string]map[string]scope {
	known := map[string]map[string]scope{}
	add := func(s scope, apiVersion string, kinds ...string) {
		if known[apiVersion] == nil {
			known[apiVersion] = map[string]scope{}
		}
		for _, kind := range kinds {
			known[apiVersion][kind] = s
		}
	}
	add(scopeNamespaced, "v1", "ConfigMap", "Endpoints", "Event", "LimitRange", "PersistentVolumeClaim", "Pod",
		"PodTemplate", "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount")
	add(scopeCluster, "v1", "PersistentVolume")
	add(scopeNamespaced, "apps/v1", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
	add(scopeNamespaced, "autoscaling/v1", "HorizontalPodAutoscaler")
	add(scopeNamespaced, "autoscaling/v2", "HorizontalPodAutoscaler")
	add(scopeNamespaced, "batch/v1", "CronJob", "Job")
	add(scopeNamespaced, "coordination.k8s.io/v1", "Lease")
	add(scopeNamespaced, "discovery.k8s.io/v1", "EndpointSlice")
	add(scopeNamespaced, "networking.k8s.io/v1", "Ingress", "NetworkPolicy")
	add(scopeCluster, "networking.k8s.io/v1", "IngressClass")
	add(scopeCluster, "node.k8s.io/v1", "RuntimeClass")
	add(scopeNamespaced, "policy/v1", "PodDisruptionBudget")
	add(scopeNamespaced, "rbac.authorization.k8s.io/v1", "Role")
	add(scopeCluster, "rbac.authorization.k8s.io/v1", "ClusterRole")
	add(scopeCluster, "scheduling.k8s.io/v1", "PriorityClass")
	add(scopeCluster, "storage.k8s.io/v1", "StorageClass")
	return known
}

// builtin tells whether an API group may be one of Kubernetes' own. kustomize takes kinds of all others to have namespaces.
func builtin(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") && !strings.HasSuffix(group, ".x-k8s.io")
}
