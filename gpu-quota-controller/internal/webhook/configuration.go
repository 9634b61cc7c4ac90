// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1 "github.com/weir-gitops/weir/api/quota/v1alpha1"
)

// metadataName is the label with which the API server marks every namespace.
const metadataName = "kubernetes.io/metadata.name"

// timeoutSeconds is how long an API server waits for an answer.
const timeoutSeconds = 5

// Settings are what does not change about the configuration while the process
// runs.
type Settings struct {
	// Namespace is the controller's, where the Service is.
	Namespace string
	// URL is where API servers reach the webhook, for a controller outside of
	// the cluster. Empty: by the Service.
	URL string
	// Excluded are namespaces whose pods are never asked about, sorted.
	Excluded []string
	// DenyUnselected has API servers ask about the pods of all namespaces but
	// the excluded ones.
	DenyUnselected bool
}

// Selection is the namespaces that quotas can select.
type Selection struct {
	// Names of namespaces.
	Names []string
	// Keys of labels, any value of which a quota may select.
	Keys []string
	// Condition is the CEL expression that is true for the pods that quotas
	// count.
	Condition string
}

// Add takes in what the spec of a quota selects. Of several requirements that
// all have to be met, one is enough to find the namespaces by.
func (s *Selection) Add(spec *quotav1.GPUQuotaSpec) {
	s.Names = append(s.Names, spec.Namespaces...)
	if spec.NamespaceSelector == nil {
		return
	}
	keys := slices.Collect(maps.Keys(spec.NamespaceSelector.MatchLabels))
	for _, requirement := range spec.NamespaceSelector.MatchExpressions {
		switch {
		case requirement.Operator == metav1.LabelSelectorOpIn && requirement.Key == metadataName:
			s.Names = append(s.Names, requirement.Values...)
			return
		case requirement.Operator == metav1.LabelSelectorOpIn, requirement.Operator == metav1.LabelSelectorOpExists:
			keys = append(keys, requirement.Key)
		}
	}
	if name, ok := spec.NamespaceSelector.MatchLabels[metadataName]; ok {
		s.Names = append(s.Names, name)
	} else if len(keys) > 0 {
		s.Keys = append(s.Keys, slices.Min(keys))
	}
}

// Configuration is what has to stand in the API server. It has one entry for
// the namespaces that are selected by name and one for each key of a label:
// the API server looks at the labels of a namespace itself, so that one which
// was created a moment ago is no gap. No namespace meets two entries. It has
// none for an empty selection.
func (s *Settings) Configuration(selection Selection, trusted []byte) *admissionregistrationv1.ValidatingWebhookConfiguration {
	config := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{
			Name:   ConfigurationName,
			Labels: labels(),
		},
	}
	// Some providers add requirements of their own to every webhook, and would do so again and again.
	config.Labels["admissions.enforcer/disabled"] = "true"
	add := func(name string, requirements ...metav1.LabelSelectorRequirement) {
		if len(s.Excluded) > 0 {
			requirements = append(requirements, metav1.LabelSelectorRequirement{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: s.Excluded})
		}
		config.Webhooks = append(config.Webhooks, s.entry(name, requirements, selection.Condition, trusted))
	}
	names, keys := sorted(selection.Names), sorted(selection.Keys)
	if s.DenyUnselected {
		if len(names)+len(keys) > 0 {
			add("all." + Domain)
		}
		return config
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(s.Excluded, name) })
	var others []metav1.LabelSelectorRequirement
	if len(names) > 0 {
		add("names."+Domain, metav1.LabelSelectorRequirement{Key: metadataName, Operator: metav1.LabelSelectorOpIn, Values: names})
		others = append(others, metav1.LabelSelectorRequirement{Key: metadataName, Operator: metav1.LabelSelectorOpNotIn, Values: names})
	}
	for _, key := range keys {
		requirements := append([]metav1.LabelSelectorRequirement{{Key: key, Operator: metav1.LabelSelectorOpExists}}, others...)
		add(entryName(key), requirements...)
		others = append(others, metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist})
	}
	return config
}

// entryName makes a name of a label's key: readable, and different for
// different keys.
func entryName(key string) string {
	_, name, _ := strings.Cut(key, "/")
	readable := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name), "-")
	if quotav1.LabelPrefix+readable != key || readable == "" {
		sum := sha256.Sum256([]byte(key))
		readable = strings.Trim(readable+"-"+hex.EncodeToString(sum[:4]), "-")
	}
	return readable + ".label." + Domain
}

// entry has every field set that the API server would set otherwise, so that
// it can be compared with what the API server has.
func (s *Settings) entry(name string, requirements []metav1.LabelSelectorRequirement, condition string, trusted []byte) admissionregistrationv1.ValidatingWebhook {
	rule := func(operation admissionregistrationv1.OperationType, resource string) admissionregistrationv1.RuleWithOperations {
		return admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{operation},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource},
				Scope: new(admissionregistrationv1.NamespacedScope),
			},
		}
	}
	client := admissionregistrationv1.WebhookClientConfig{CABundle: trusted}
	if s.URL != "" {
		client.URL = new(s.URL)
	} else {
		client.Service = &admissionregistrationv1.ServiceReference{
			Namespace: s.Namespace, Name: ServiceName, Path: new(Path), Port: new(int32(ServicePort)),
		}
	}
	hook := admissionregistrationv1.ValidatingWebhook{
		Name:                    name,
		ClientConfig:            client,
		Rules:                   []admissionregistrationv1.RuleWithOperations{rule(admissionregistrationv1.Create, "pods"), rule(admissionregistrationv1.Update, "pods/resize")},
		FailurePolicy:           new(admissionregistrationv1.Fail),
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		NamespaceSelector:       &metav1.LabelSelector{MatchExpressions: requirements},
		ObjectSelector:          &metav1.LabelSelector{},
		SideEffects:             new(admissionregistrationv1.SideEffectClassNoneOnDryRun),
		TimeoutSeconds:          new(int32(timeoutSeconds)),
		AdmissionReviewVersions: []string{"v1"},
	}
	if condition != "" {
		hook.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "asks-for-gpus", Expression: condition}}
	}
	return hook
}

func sorted(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}
