// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	imagev1 "github.com/weir-gitops/weir/api/image/v1"
)

// location is where a repository is known to its forge.
type location struct {
	// api is the base of the API, without a slash at the end.
	api *url.URL
	// project is the path of the repository, without slashes around it and
	// without .git.
	project string
}

// root is the path of an API, below what the forge is installed at.
func root(provider imagev1.Forge) string {
	switch provider {
	case imagev1.ForgeGitHub:
		return "/api/v3"
	case imagev1.ForgeGitLab:
		return "/api/v4"
	case imagev1.ForgeGitea:
		return "/api/v1"
	}
	return ""
}

// The one forge whose API is at another host than its repositories.
const (
	githubHost = "github.com"
	githubAPI  = "api.github.com"
)

// scp matches the form [user@]host:path. A path that begins with two slashes is
// the rest of a URL.
var scp = regexp.MustCompile(`^(?:[^@/:]+@)?([^@/:]+|\[[0-9A-Fa-f:.]+\]):([^/].*|/[^/].*)$`)

// locate finds the API and the project. It decides which host the token is
// sent to.
func locate(provider imagev1.Forge, repository, apiURL string, allowed []string, allowHTTP bool) (location, error) {
	if root(provider) == "" {
		return location{}, reject("the provider %q is not one of github, gitlab and gitea", provider)
	}
	repo, err := parseRepository(repository)
	if err != nil {
		return location{}, err
	}
	api := defaultAPI(provider, repo)
	if apiURL != "" {
		if api, err = parseAPI(apiURL); err != nil {
			return location{}, err
		}
		if !trusted(provider, api, repo, allowed) {
			return location{}, &Error{Class: ErrHost, text: fmt.Sprintf(
				"apiURL is at %s and the repository at %s: a token is sent to another host only if --forge-hosts lists it", api.Host, repo.Host)}
		}
	}
	if api.Scheme != "https" && !allowHTTP {
		return location{}, reject("the API of the forge at %s would be asked over plain http, which would show the token to the network; use https", api.Host)
	}
	project, err := projectOf(provider, api, repo)
	if err != nil {
		return location{}, err
	}
	return location{api: api, project: project}, nil
}

// parseRepository parses the URL of a repository. For ssh the port is left
// out, as it is not the forge's. Errors do not quote the URL, which may hold a
// password.
func parseRepository(raw string) (*url.URL, error) {
	if match := scp.FindStringSubmatch(raw); match != nil {
		raw = "ssh://" + match[1] + "/" + strings.TrimPrefix(match[2], "/")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, reject("the URL of the repository is not valid")
	}
	host := u.Host
	switch u.Scheme {
	case "http", "https":
	case "ssh":
		host = strings.TrimSuffix(u.Host, ":"+u.Port())
	default:
		return nil, reject("the scheme %q of the repository's URL is not one of http, https and ssh", u.Scheme)
	}
	return &url.URL{Scheme: u.Scheme, Host: canonicalHost(u.Scheme, host), Path: u.Path}, nil
}

func parseAPI(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, reject("apiURL is not a URL with https")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, reject("apiURL must have neither user information nor a query nor a fragment")
	}
	return &url.URL{Scheme: u.Scheme, Host: canonicalHost(u.Scheme, u.Host), Path: strings.TrimRight(u.Path, "/")}, nil
}

// canonicalHost drops the port that the scheme implies.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if scheme == "http" {
		return strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

func defaultAPI(provider imagev1.Forge, repo *url.URL) *url.URL {
	if provider == imagev1.ForgeGitHub && repo.Host == githubHost {
		return &url.URL{Scheme: "https", Host: githubAPI}
	}
	scheme := repo.Scheme
	if scheme == "ssh" {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: repo.Host, Path: root(provider)}
}

// trusted reports whether the token may go to the host of api.
func trusted(provider imagev1.Forge, api, repo *url.URL, allowed []string) bool {
	if api.Host == repo.Host || api.Host == defaultAPI(provider, repo).Host {
		return true
	}
	return slices.ContainsFunc(allowed, func(host string) bool {
		return canonicalHost(api.Scheme, strings.TrimSpace(host)) == api.Host
	})
}

// projectOf returns the path by which the API knows the repository. A forge
// that is installed below a path has that path before its API's, and before
// the repository's in a URL with http, but not in one with ssh.
func projectOf(provider imagev1.Forge, api, repo *url.URL) (string, error) {
	path := repo.Path
	if prefix, found := strings.CutSuffix(api.Path, root(provider)); found && prefix != "" {
		if rest, below := strings.CutPrefix(path, prefix+"/"); below {
			path = rest
		}
	}
	project := strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	parts := strings.Split(project, "/")
	if slices.ContainsFunc(parts, func(part string) bool { return part == "" || part == "." || part == ".." }) {
		return "", reject("the URL of the repository has no path that could name a project")
	}
	if len(parts) < 2 || provider != imagev1.ForgeGitLab && len(parts) != 2 {
		return "", reject("the path %q of the repository's URL is not <owner>/<repository>, by which %s knows repositories", project, provider)
	}
	return project, nil
}
