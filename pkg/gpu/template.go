// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package gpu

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// podContent is the template of pods as it is in an object.
type podContent struct {
	annotations any
	spec        map[string]any
	// more are containers beside those in the lists.
	more []map[string]any
	// inherits: one of these asks for no device, and may be given some.
	inherits bool
}

// pod returns the template of a set, or nil.
func (e *estimator) pod(s *compiledSet, item map[string]any) (*podContent, error) {
	if !s.hasTemplate {
		spec, err := object(e.root, item, s.podSpec)
		if spec == nil || err != nil {
			return nil, err
		}
		pod := &podContent{spec: spec}
		metadata, _ := e.root["metadata"].(map[string]any)
		pod.annotations = metadata["annotations"]
		return pod, pod.fields(s)
	}
	template, err := object(e.root, item, s.template)
	if template == nil && err == nil && !s.otherwise.empty() {
		template, err = object(e.root, item, s.otherwise)
	}
	if template == nil || err != nil {
		return nil, err
	}
	metadata, err := child(template, "metadata")
	if err != nil {
		return nil, err
	}
	spec, err := child(template, "spec")
	if spec == nil || err != nil {
		return nil, err
	}
	return &podContent{annotations: metadata["annotations"], spec: spec}, nil
}

// fields adds the containers that have a field of their own.
func (p *podContent) fields(s *compiledSet) error {
	for _, name := range s.containers {
		c, err := child(p.spec, name)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		p.more = append(p.more, c)
		resources, err := child(c, "resources")
		if err != nil {
			return err
		}
		asks, err := names(resources, func(name string) bool { return ofVendor(name) && !table.shares[name] && !table.others[name] })
		if err != nil {
			return err
		}
		p.inherits = p.inherits || s.inherits != "" && !asks
	}
	return nil
}

// shape counts the pod. Most pods ask for nothing, which takes a look at the
// names of their resources; only the others are read.
func (p *podContent) shape() (Shape, error) {
	claims, err := items(p.spec, "resourceClaims")
	if err != nil {
		return Shape{}, err
	}
	annotations, err := p.asked()
	if err != nil {
		return Shape{}, err
	}
	spec := &corev1.PodSpec{}
	if len(claims) > 0 {
		spec.ResourceClaims = make([]corev1.PodResourceClaim, len(claims))
	}
	if spec.InitContainers, err = containers(p.spec, "initContainers"); err != nil {
		return Shape{}, err
	}
	if spec.Containers, err = containers(p.spec, "containers"); err != nil {
		return Shape{}, err
	}
	for _, c := range p.more {
		read, asks, err := container(c)
		if err != nil {
			return Shape{}, err
		}
		if asks {
			spec.Containers = append(spec.Containers, read)
		}
	}
	overhead, err := child(p.spec, "overhead")
	if err != nil {
		return Shape{}, err
	}
	if spec.Overhead, err = quantities(overhead, "overhead"); err != nil {
		return Shape{}, err
	}
	if len(spec.Containers)+len(spec.InitContainers)+len(spec.Overhead)+len(claims)+len(annotations) == 0 {
		return Shape{}, nil
	}
	if err := p.nodes(spec); err != nil {
		return Shape{}, err
	}
	return PodShape(annotations, spec)
}

// asked returns the annotations that ask for GPUs.
func (p *podContent) asked() (map[string]string, error) {
	if p.annotations == nil {
		return nil, nil
	}
	content, ok := p.annotations.(map[string]any)
	if !ok {
		return nil, errors.New("metadata.annotations: it is not an object")
	}
	var asked map[string]string
	for _, key := range []string{FractionResource, MemoryResource, fractionDevices} {
		value, found := content[key]
		if !found {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("metadata.annotations: %s is not a string", key)
		}
		if asked == nil {
			asked = map[string]string{}
		}
		asked[key] = text
	}
	return asked, nil
}

// nodes reads what pins pods to nodes.
func (p *podContent) nodes(spec *corev1.PodSpec) error {
	kept := map[string]any{}
	if p.spec["nodeSelector"] != nil {
		kept["nodeSelector"] = p.spec["nodeSelector"]
	}
	affinity, err := child(p.spec, "affinity")
	if err != nil {
		return err
	}
	node, err := child(affinity, "nodeAffinity")
	if err != nil {
		return err
	}
	const required = "requiredDuringSchedulingIgnoredDuringExecution"
	if node[required] != nil {
		kept["affinity"] = map[string]any{"nodeAffinity": map[string]any{required: node[required]}}
	}
	if len(kept) == 0 {
		return nil
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return errors.New("the node selector or the node affinity is not as it should be")
	}
	var read corev1.PodSpec
	if err := json.Unmarshal(text, &read); err != nil {
		return errors.New("the node selector or the node affinity is not as it should be")
	}
	spec.NodeSelector, spec.Affinity = read.NodeSelector, read.Affinity
	return nil
}

// containers returns those of a list that ask for devices.
func containers(spec map[string]any, field string) ([]corev1.Container, error) {
	list, err := items(spec, field)
	if err != nil {
		return nil, err
	}
	var found []corev1.Container
	for i, item := range list {
		content, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s[%d]: it is not an object", field, i)
		}
		c, asks, err := container(content)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
		if asks {
			found = append(found, c)
		}
	}
	return found, nil
}

func container(content map[string]any) (c corev1.Container, asks bool, err error) {
	resources, err := child(content, "resources")
	if err != nil {
		return c, false, err
	}
	if asks, err = names(resources, extended); !asks || err != nil {
		return c, false, err
	}
	if c.Resources.Requests, err = listed(resources, "requests"); err != nil {
		return c, false, err
	}
	if c.Resources.Limits, err = listed(resources, "limits"); err != nil {
		return c, false, err
	}
	c.Name, _ = content["name"].(string)
	c.Name = clip(c.Name)
	if policy, _ := content["restartPolicy"].(string); policy != "" {
		always := corev1.ContainerRestartPolicy(policy)
		c.RestartPolicy = &always
	}
	return c, true, nil
}

func listed(resources map[string]any, field string) (corev1.ResourceList, error) {
	list, err := child(resources, field)
	if err != nil {
		return nil, err
	}
	return quantities(list, "resources."+field)
}

// names reports whether one of the resources that a container has in requests
// or limits is such a one.
func names(resources map[string]any, such func(name string) bool) (bool, error) {
	for _, field := range []string{"requests", "limits"} {
		list, err := child(resources, field)
		if err != nil {
			return false, err
		}
		for name := range list {
			if such(name) {
				return true, nil
			}
		}
	}
	return false, nil
}

// plain are quantities that can be parsed at no great cost: an exponent makes a
// short text a long number.
var plain = regexp.MustCompile(`^[+-]?[0-9.]{1,20}([eE][+-]?[0-9]|[numkMGTPE]i?|Ki)?$`)

// quantities reads the extended resources of a list.
func quantities(list map[string]any, at string) (corev1.ResourceList, error) {
	var result corev1.ResourceList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !extended(name) {
			continue
		}
		var text string
		switch value := list[name].(type) {
		case string:
			text = value
		case int64, float64, int:
			text = fmt.Sprint(value)
		}
		if !plain.MatchString(text) {
			return nil, fmt.Errorf("%s: %s is not a number of devices", at, clip(name))
		}
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %s is not a number of devices", at, clip(name))
		}
		if result == nil {
			result = corev1.ResourceList{}
		}
		result[corev1.ResourceName(name)] = quantity
	}
	return result, nil
}

// child returns an object in an object, nil if there is none.
func child(parent map[string]any, field string) (map[string]any, error) {
	value := parent[field]
	if value == nil {
		return nil, nil
	}
	content, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: it is not an object", field)
	}
	return content, nil
}

// items returns a list in an object, nil if there is none.
func items(parent map[string]any, field string) ([]any, error) {
	value := parent[field]
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: it is not a list", field)
	}
	return list, nil
}
