// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime is longer than any test or demonstration runs.
const tokenLifetime = 24 * time.Hour

// ServiceAccountConfig returns a client configuration that bears a fresh token
// of a service account, valid for a day, so that a controller started with it
// may do what the RBAC of that account lets it do and no more. The account
// must exist.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	core, err := corev1client.NewForConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("request a token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	seconds := int64(tokenLifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	request, err = core.ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("request a token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(c.config)
	config.BearerToken = request.Status.Token
	unlimit(config)
	return config, nil
}

// Install installs Weir as its README says, from the checkout that the cluster
// was started from.
func (c *Cluster) Install(ctx context.Context) error {
	bootstrap := filepath.Join(c.launcher.dir, "..", "..", "bootstrap")
	kubectl := exec.CommandContext(ctx, filepath.Join(c.Assets(), "kubectl"), "--kubeconfig", c.Kubeconfig(),
		"apply", "--server-side", "--force-conflicts", "-k", bootstrap) //#nosec G204 -- the cluster's own kubectl
	if out, err := kubectl.CombinedOutput(); err != nil {
		return fmt.Errorf("install bootstrap: %w: %s", err, out)
	}
	return nil
}

// ServiceAccountKubeconfig writes a kubeconfig with the token of a service
// account, as ServiceAccountConfig makes it, and returns its path. It is gone
// with the cluster.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	config, err := c.ServiceAccountConfig(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(c.Kubeconfig()), namespace+"-"+name+".kubeconfig")
	return path, WriteKubeconfig(config, path)
}

// WriteKubeconfig writes config to path as a kubeconfig that only the user can
// read, with credentials and certificates inside or by reference, as config
// has them.
func WriteKubeconfig(config *rest.Config, path string) error {
	const name = "weir"
	file := clientcmdapi.NewConfig()
	file.CurrentContext = name
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	file.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   config.Host,
		TLSServerName:            config.ServerName,
		InsecureSkipTLSVerify:    config.Insecure,
		CertificateAuthority:     config.CAFile,
		CertificateAuthorityData: config.CAData,
	}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificate:     config.CertFile,
		ClientCertificateData: config.CertData,
		ClientKey:             config.KeyFile,
		ClientKeyData:         config.KeyData,
		Token:                 config.BearerToken,
		TokenFile:             config.BearerTokenFile,
		Impersonate:           config.Impersonate.UserName,
		ImpersonateUID:        config.Impersonate.UID,
		ImpersonateGroups:     config.Impersonate.Groups,
		ImpersonateUserExtra:  config.Impersonate.Extra,
	}
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// unlimit turns the client-side limit on requests off: the API server's own
// fairness decides.
func unlimit(config *rest.Config) {
	config.QPS = -1
}
