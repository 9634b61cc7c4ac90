// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/weir-gitops/weir/pkg/git"
	"github.com/weir-gitops/weir/source-controller/internal/controller/gitrepository"
)

// setupGitRepository adds the controller of GitRepositories.
func setupGitRepository(p *parts) error {
	o := p.options
	objects, err := git.NewStore(o.objects(), o.GitCacheSize, git.Limits{Transfer: o.GitMaxTransfer})
	if err != nil {
		return fmt.Errorf("--git-cache-path: %w", err)
	}
	c := &gitrepository.Controller{
		Keeper:     p.keeper(&sourcev1.GitRepository{}),
		Objects:    objects,
		Dialer:     p.dialer,
		Algorithms: git.Algorithms{KeyExchange: o.SSHKexAlgos, HostKey: o.SSHHostKeyAlgos},
	}
	return c.SetupWithManager(p.app.Manager, p.patientOptions())
}
