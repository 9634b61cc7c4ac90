// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

func imageRights() map[string]answer {
	const (
		image  = "image.toolkit.fluxcd.io"
		source = "source.toolkit.fluxcd.io"
		crds   = "apiextensions.k8s.io"
		ours   = "weir-system"
		theirs = "team-data"
	)
	ic := imageController
	return map[string]answer{
		"image: watch automations":        {right{ic, "watch", image, "imageupdateautomations", "", "", ""}, true},
		"image: watch repositories":       {right{ic, "watch", image, "imagerepositories", "", "", ""}, true},
		"image: watch policies":           {right{ic, "watch", image, "imagepolicies", "", "", ""}, true},
		"image: write status":             {right{ic, "patch", image, "imageupdateautomations", "status", theirs, ""}, true},
		"image: never delete":             {right{ic, "delete", image, "imageupdateautomations", "", theirs, ""}, false},
		"image: read sources":             {right{ic, "watch", source, "gitrepositories", "", "", ""}, true},
		"image: nudge a source":           {right{ic, "patch", source, "gitrepositories", "", theirs, ""}, true},
		"image: make no source":           {right{ic, "create", source, "gitrepositories", "", theirs, ""}, false},
		"image: write no source's status": {right{ic, "patch", source, "gitrepositories", "status", theirs, ""}, false},
		"image: read a named secret":      {right{ic, "get", "", "secrets", "", theirs, "token"}, true},
		"image: never list secrets":       {right{ic, "list", "", "secrets", "", theirs, ""}, false},
		"image: read pull secrets' names": {right{ic, "get", "", "serviceaccounts", "", theirs, "puller"}, true},
		"image: take on nobody":           {right{ic, "impersonate", "", "serviceaccounts", "", theirs, "data"}, false},
		"image: make no token":            {right{ic, "create", "", "serviceaccounts", "token", theirs, "data"}, false},
		"image: see labels of namespaces": {right{ic, "get", "", "namespaces", "", "", theirs}, true},
		"image: never write namespaces":   {right{ic, "patch", "", "namespaces", "", "", theirs}, false},
		"image: see its CRD":              {right{ic, "get", crds, "customresourcedefinitions", "", "", "imagepolicies." + image}, true},
		"image: see no other CRD":         {right{ic, "get", crds, "customresourcedefinitions", "", "", "foos.example.com"}, false},
		"image: look for counterparts":    {right{ic, "list", "coordination.k8s.io", "leases", "", "", ""}, true},
		"image: hold its lease":           {right{ic, "update", "coordination.k8s.io", "leases", "", ours, ""}, true},
		"image: change no workload":       {right{ic, "patch", "apps", "deployments", "", theirs, ""}, false},
		"image: read no workload":         {right{ic, "get", "apps", "deployments", "", theirs, ""}, false},
		"viewer: see automations":         {right{"viewer", "list", image, "imageupdateautomations", "", theirs, ""}, true},
		"editor: make no automation":      {right{"editor", "create", image, "imageupdateautomations", "", theirs, ""}, false},
		"admin: make no policy":           {right{"admin", "create", image, "imagepolicies", "", theirs, ""}, false},
	}
}
