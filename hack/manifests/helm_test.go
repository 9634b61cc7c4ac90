// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

func helmRights() map[string]answer {
	const (
		helm   = "helm.toolkit.fluxcd.io"
		source = "source.toolkit.fluxcd.io"
		crds   = "apiextensions.k8s.io"
		ours   = "weir-system"
		theirs = "team-data"
	)
	hc, sc := helmController, sourceController
	return map[string]answer{
		"helm: watch its kind":             {right{hc, "watch", helm, "helmreleases", "", "", ""}, true},
		"helm: write status":               {right{hc, "patch", helm, "helmreleases", "status", theirs, ""}, true},
		"helm: never delete":               {right{hc, "delete", helm, "helmreleases", "", theirs, ""}, false},
		"helm: make a chart's source":      {right{hc, "create", source, "helmcharts", "", theirs, ""}, true},
		"helm: delete a chart's source":    {right{hc, "delete", source, "ocirepositories", "", theirs, ""}, true},
		"helm: write no source's status":   {right{hc, "patch", source, "helmcharts", "status", theirs, ""}, false},
		"helm: leave repositories alone":   {right{hc, "patch", source, "helmrepositories", "", theirs, ""}, false},
		"helm: read named values":          {right{hc, "get", "", "secrets", "", theirs, "values"}, true},
		"helm: never list secrets":         {right{hc, "list", "", "secrets", "", theirs, ""}, false},
		"helm: store nothing as itself":    {right{hc, "create", "", "secrets", "", theirs, ""}, false},
		"helm: release nothing as itself":  {right{hc, "patch", "apps", "deployments", "", theirs, ""}, false},
		"helm: take on an account":         {right{hc, "impersonate", "", "serviceaccounts", "", theirs, "data"}, true},
		"helm: take on no user":            {right{hc, "impersonate", "", "users", "", "", "admin"}, false},
		"helm: take on no group":           {right{hc, "impersonate", "", "groups", "", "", "system:masters"}, false},
		"helm: watch CRDs":                 {right{hc, "watch", crds, "customresourcedefinitions", "", "", ""}, true},
		"helm: write no CRD as itself":     {right{hc, "patch", crds, "customresourcedefinitions", "", "", "foos.example.com"}, false},
		"helm: hold its lease":             {right{hc, "update", "coordination.k8s.io", "leases", "", ours, ""}, true},
		"helm: ask for GPUs":               {right{hc, "create", "", "configmaps", "", ours, ""}, true},
		"source: watch chart repositories": {right{sc, "watch", source, "helmrepositories", "", "", ""}, true},
		"source: watch charts":             {right{sc, "watch", source, "helmcharts", "", "", ""}, true},
		"source: watch OCI repositories":   {right{sc, "watch", source, "ocirepositories", "", "", ""}, true},
		"source: write a chart's status":   {right{sc, "patch", source, "helmcharts", "status", theirs, ""}, true},
		"viewer: see releases":             {right{"viewer", "list", helm, "helmreleases", "", theirs, ""}, true},
		"editor: make no release":          {right{"editor", "create", helm, "helmreleases", "", theirs, ""}, false},
		"admin: make no chart":             {right{"admin", "create", source, "helmcharts", "", theirs, ""}, false},
	}
}
