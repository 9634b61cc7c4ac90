// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Insecure is what a kubeconfig may ask for only if the installation allows
// it.
type Insecure struct {
	// Exec lets a kubeconfig name a program that yields the credentials. It
	// runs as the controller.
	Exec bool
	// TLS lets a kubeconfig turn the check of the server's certificate off,
	// or name a server without TLS.
	TLS bool
}

// execExtension is where a kubeconfig keeps what its program is told of the
// cluster.
const execExtension = "client.authentication.k8s.io/exec"

// parseKubeconfig returns how the current context of a kubeconfig reaches and
// convinces its server. Nothing is read from the controller's disk or
// environment. Errors name the field at fault and quote no content.
func parseKubeconfig(data []byte, allow Insecure) (*rest.Config, error) {
	file, err := clientcmd.Load(data)
	if err != nil {
		return nil, errors.New("it is not a kubeconfig") // the cause may quote a credential
	}
	if err := selfContained(file); err != nil {
		return nil, err
	}
	context := file.Contexts[file.CurrentContext]
	if context == nil {
		return nil, errors.New("its current-context is not one of its contexts")
	}
	server := file.Clusters[context.Cluster]
	if server == nil {
		return nil, errors.New("the cluster of its current-context is not one of its clusters")
	}
	user := file.AuthInfos[context.AuthInfo]
	if user == nil && context.AuthInfo != "" {
		return nil, errors.New("the user of its current-context is not one of its users")
	}
	config := &rest.Config{}
	if err := setServer(config, server, allow); err != nil {
		return nil, err
	}
	if user == nil {
		return config, nil
	}
	return config, setUser(config, user, server, allow)
}

// selfContained refuses every reference to a file, used or not: it would be
// one of the controller's own.
func selfContained(file *clientcmdapi.Config) error {
	for _, name := range slices.Sorted(maps.Keys(file.Clusters)) {
		if file.Clusters[name].CertificateAuthority != "" {
			return errors.New("it refers to a file by certificate-authority; put the content into certificate-authority-data")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(file.AuthInfos)) {
		switch user := file.AuthInfos[name]; {
		case user.ClientCertificate != "":
			return errors.New("it refers to a file by client-certificate; put the content into client-certificate-data")
		case user.ClientKey != "":
			return errors.New("it refers to a file by client-key; put the content into client-key-data")
		case user.TokenFile != "":
			return errors.New("it refers to a file by tokenFile; put the content into token")
		}
	}
	return nil
}

func setServer(config *rest.Config, server *clientcmdapi.Cluster, allow Insecure) (err error) {
	if server.InsecureSkipTLSVerify && !allow.TLS {
		return errors.New("it sets insecure-skip-tls-verify, which --insecure-kubeconfig-tls would have to allow")
	}
	if config.Host, err = parseAddress(server.Server, allow.TLS); err != nil {
		return fmt.Errorf("its server %w", err)
	}
	if config.Proxy, err = parseProxy(server.ProxyURL); err != nil {
		return err
	}
	config.Insecure = server.InsecureSkipTLSVerify
	config.ServerName = server.TLSServerName
	config.CAData = server.CertificateAuthorityData
	config.DisableCompression = server.DisableCompression
	return nil
}

func setUser(config *rest.Config, user *clientcmdapi.AuthInfo, server *clientcmdapi.Cluster, allow Insecure) error {
	switch {
	case user.AuthProvider != nil:
		return errors.New("its user has an auth-provider, which Kubernetes no longer supports; use a token or a client certificate")
	case user.Exec != nil && !allow.Exec:
		return errors.New("its user runs a program for the credentials (exec), which --insecure-kubeconfig-exec would have to allow; use a token or a client certificate")
	case user.Exec != nil:
		config.ExecProvider = user.Exec.DeepCopy()
		config.ExecProvider.InteractiveMode = clientcmdapi.NeverExecInteractiveMode
		config.ExecProvider.Config = server.Extensions[execExtension]
	}
	config.CertData, config.KeyData = user.ClientCertificateData, user.ClientKeyData
	config.BearerToken = user.Token
	config.Username, config.Password = user.Username, user.Password
	config.Impersonate = rest.ImpersonationConfig{
		UserName: user.Impersonate, UID: user.ImpersonateUID, Groups: user.ImpersonateGroups, Extra: user.ImpersonateUserExtra,
	}
	return nil
}

// parseAddress returns the address of an API server in one form: scheme, host,
// port and path. Errors continue a sentence whose subject is the field.
func parseAddress(address string, plain bool) (string, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("is not an address such as https://cluster.example:6443")
	}
	switch {
	case u.User != nil:
		return "", errors.New("holds a user name; put credentials into the user of the kubeconfig")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("has a query or a fragment; remove it")
	case u.Scheme == "http" && !plain:
		return "", errors.New("has no TLS (http), which --insecure-kubeconfig-tls would have to allow")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("has the scheme %q, and https is the one that works", u.Scheme)
	}
	if u.Port() == "" {
		u.Host += map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.Path, "/"), nil
}

// parseProxy returns the proxy of a kubeconfig. Without one there is none: that
// of the controller's environment was not set for other people's addresses.
func parseProxy(address string) (func(*http.Request) (*url.URL, error), error) {
	if address == "" {
		return http.ProxyURL(nil), nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
		return nil, errors.New("its proxy-url is not an http, https or socks5 address")
	}
	return http.ProxyURL(u), nil
}
