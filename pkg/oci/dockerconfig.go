// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// OwnAccess puts the credentials for repo from the docker config of this
// process, the file config.json in dir, into a copy of access. It is for
// installations that let objects use the controller's own identity. Without
// such a file, or an entry in it, access is returned as it was. Helper programs
// that a config names are not run.
func OwnAccess(dir string, repo Repository, access Access) (Access, error) {
	content, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, os.ErrNotExist) {
		return access, nil
	}
	if err != nil {
		return Access{}, failf(ErrAuthentication, "the controller's own docker config cannot be read")
	}
	if _, err := fromDockerConfig(map[string][]byte{".dockerconfigjson": content}, repo, &access); err != nil {
		return Access{}, failf(ErrAuthentication, "the controller's own docker config cannot be used: %v", err)
	}
	return access, nil
}

// fromDockerConfig reads the credentials for repo from the data of a Secret of
// type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg.
func fromDockerConfig(data map[string][]byte, repo Repository, access *Access) (found bool, err error) {
	var entries map[string]json.RawMessage
	switch {
	case len(data[".dockerconfigjson"]) > 0:
		var config struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if json.Unmarshal(data[".dockerconfigjson"], &config) != nil {
			return false, errors.New("'.dockerconfigjson' is not valid JSON of its kind")
		}
		entries = config.Auths
	case len(data[".dockercfg"]) > 0:
		if json.Unmarshal(data[".dockercfg"], &entries) != nil {
			return false, errors.New("'.dockercfg' is not valid JSON of its kind")
		}
	default:
		return false, errors.New("it has no key '.dockerconfigjson'")
	}
	key, found := pickEntry(entries, repo)
	if !found {
		return false, nil
	}
	var config authn.AuthConfig
	if json.Unmarshal(entries[key], &config) != nil {
		return false, fmt.Errorf("its entry for '%s' is not valid", repo.host)
	}
	access.Username, access.Password = config.Username, config.Password
	access.IdentityToken, access.RegistryToken = config.IdentityToken, config.RegistryToken
	return true, nil
}

// pickEntry returns the key of a docker config that fits repo best: the longest
// path, then a host without wildcards, then the first by its text.
func pickEntry(entries map[string]json.RawMessage, repo Repository) (string, bool) {
	type candidate struct {
		key  string
		path int
		glob bool
	}
	var fitting []candidate
	for key := range entries {
		host, prefix := splitEntry(key)
		if !matchHost(host, repo.host) || prefix != "" && prefix != repo.path && !strings.HasPrefix(repo.path, prefix+"/") {
			continue
		}
		fitting = append(fitting, candidate{key: key, path: len(prefix), glob: strings.Contains(host, "*")})
	}
	if len(fitting) == 0 {
		return "", false
	}
	best := slices.MinFunc(fitting, func(a, b candidate) int {
		switch {
		case a.path != b.path:
			return b.path - a.path
		case a.glob != b.glob && b.glob:
			return -1
		case a.glob != b.glob:
			return 1
		default:
			return strings.Compare(a.key, b.key)
		}
	})
	return best.key, true
}

// splitEntry takes the key of a docker config apart: a host, perhaps as a URL,
// perhaps with a path. The paths /v1 and /v2 are those of the API.
func splitEntry(key string) (host, prefix string) {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, prefix, _ = strings.Cut(key, "/")
	prefix = strings.Trim(prefix, "/")
	if prefix == "v1" || prefix == "v2" {
		prefix = ""
	}
	return host, prefix
}

// matchHost says whether a host of a docker config, in which * stands for any
// part of a label, is that of a registry.
func matchHost(pattern, host string) bool {
	if host == "index.docker.io" && (pattern == "docker.io" || pattern == "registry-1.docker.io") {
		return true
	}
	if !strings.Contains(pattern, "*") {
		return strings.EqualFold(pattern, host)
	}
	wanted, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(wanted) != len(labels) {
		return false
	}
	for i := range wanted {
		if fits, err := path.Match(wanted[i], labels[i]); err != nil || !fits {
			return false
		}
	}
	return true
}
