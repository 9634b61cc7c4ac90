// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An endpoint is one end of a connection: a pod, or an address outside of the
// cluster if it has no namespace.
type endpoint struct {
	// program is what runs in a pod of Weir's.
	program   string
	namespace string
	// marks are the labels of the namespace, beside its name.
	marks   labels.Set
	labels  labels.Set
	ports   []corev1.ContainerPort
	address string
}

// A connection is to a port of the peer that it goes to.
type connection struct {
	from, to endpoint
	protocol corev1.Protocol
	port     int32
}

// permits says what a network that enforces policies does with a connection:
// as Kubernetes defines it, both ends have to agree, and an end that no policy
// selects agrees to everything.
func permits(policies []networkingv1.NetworkPolicy, c connection) bool {
	leaves, enters := true, true
	for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress} {
		self, verdict := c.from, &leaves
		if direction == networkingv1.PolicyTypeIngress {
			self, verdict = c.to, &enters
		}
		selecting := slices.DeleteFunc(slices.Clone(policies), func(p networkingv1.NetworkPolicy) bool {
			return p.Namespace != self.namespace || !matches(&p.Spec.PodSelector, self.labels) || !slices.Contains(p.Spec.PolicyTypes, direction)
		})
		*verdict = len(selecting) == 0 || slices.ContainsFunc(selecting, func(p networkingv1.NetworkPolicy) bool { return covers(p, direction, c) })
	}
	return leaves && enters
}

// covers reports whether one of the rules of a policy is about the connection.
func covers(p networkingv1.NetworkPolicy, direction networkingv1.PolicyType, c connection) bool {
	if direction == networkingv1.PolicyTypeEgress {
		return slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
			return among(p.Namespace, r.To, c.to) && onPort(r.Ports, c)
		})
	}
	return slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
		return among(p.Namespace, r.From, c.from) && onPort(r.Ports, c)
	})
}

// among reports whether peers, of which none stands for all, have the other end.
func among(namespace string, peers []networkingv1.NetworkPolicyPeer, other endpoint) bool {
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			return other.namespace == "" && netip.MustParsePrefix(p.IPBlock.CIDR).Contains(netip.MustParseAddr(other.address))
		case other.namespace == "":
			return false
		case p.NamespaceSelector == nil:
			return other.namespace == namespace && matches(p.PodSelector, other.labels)
		default:
			return matches(p.NamespaceSelector, labels.Merge(other.marks, labels.Set{corev1.LabelMetadataName: other.namespace})) &&
				(p.PodSelector == nil || matches(p.PodSelector, other.labels))
		}
	})
}

// onPort reports whether ports, of which none stands for all, have that of the
// connection. A name is that of a port of the pod that it goes to.
func onPort(ports []networkingv1.NetworkPolicyPort, c connection) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		switch {
		case protocol != c.protocol:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return slices.ContainsFunc(c.to.ports, func(named corev1.ContainerPort) bool {
				return named.Name == p.Port.StrVal && named.ContainerPort == c.port
			})
		default:
			return c.port >= p.Port.IntVal && c.port <= cmp.Or(valueOf(p.EndPort), p.Port.IntVal)
		}
	})
}

func valueOf(p *int32) int32 {
	if p == nil {
		return 0
	}
	return *p
}

// matches is about a selector that the API server has accepted; one that is
// wrong matches nothing.
func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

func TestPermits(t *testing.T) {
	t.Parallel()
	server := endpoint{namespace: "a", labels: labels.Set{"app": "server"}, ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 80}}}
	client := endpoint{namespace: "a", labels: labels.Set{"app": "client"}}
	tenant := endpoint{namespace: "b", labels: labels.Set{"app": "client"}}
	outside := endpoint{address: "203.0.113.9"}
	policy := func(types networkingv1.PolicyType, ingress []networkingv1.NetworkPolicyIngressRule, egress []networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicy {
		return networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}, Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{types}, Ingress: ingress, Egress: egress,
		}}
	}
	from := func(peers ...networkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicy {
		web := intstr.FromString("web")
		return policy(networkingv1.PolicyTypeIngress, []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: []networkingv1.NetworkPolicyPort{{Port: &web}}}}, nil)
	}
	clients := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "client"}}
	deny := policy(networkingv1.PolicyTypeIngress, nil, nil)
	for name, tc := range map[string]struct {
		policies []networkingv1.NetworkPolicy
		from     endpoint
		port     int32
		want     bool
	}{
		"no policy":                        {nil, outside, 80, true},
		"nothing enters":                   {[]networkingv1.NetworkPolicy{deny}, client, 80, false},
		"policies add up":                  {[]networkingv1.NetworkPolicy{deny, from()}, outside, 80, true},
		"another port":                     {[]networkingv1.NetworkPolicy{from()}, client, 81, false},
		"pods of the namespace":            {[]networkingv1.NetworkPolicy{from(networkingv1.NetworkPolicyPeer{PodSelector: clients})}, client, 80, true},
		"the same labels elsewhere":        {[]networkingv1.NetworkPolicy{from(networkingv1.NetworkPolicyPeer{PodSelector: clients})}, tenant, 80, false},
		"any namespace":                    {[]networkingv1.NetworkPolicy{from(networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})}, tenant, 80, true},
		"any namespace is not outside":     {[]networkingv1.NetworkPolicy{from(networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}})}, outside, 80, false},
		"an address":                       {[]networkingv1.NetworkPolicy{from(networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "203.0.113.0/24"}})}, outside, 80, true},
		"what may enter may have to leave": {[]networkingv1.NetworkPolicy{policy(networkingv1.PolicyTypeEgress, nil, nil)}, client, 80, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := permits(tc.policies, connection{tc.from, server, corev1.ProtocolTCP, tc.port}); got != tc.want {
				t.Errorf("permitted: %t, want %t", got, tc.want)
			}
		})
	}
}
