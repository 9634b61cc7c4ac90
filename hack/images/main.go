// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Command images builds the images of Weir's controllers, and pushes them to a
// registry or writes them to a directory. It needs Go and no container engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	"github.com/weir-gitops/weir/hack/images/image"
)

// request is what the command line asks for.
type request struct {
	root, output, push, version, system string
	insecure                            bool
	platforms, names                    []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	if r.system != "" {
		return image.WriteSystem(r.system)
	}
	images, err := r.build(ctx)
	if err != nil {
		return err
	}
	if r.output != "" {
		if err := image.Write(r.output, images...); err != nil {
			return err
		}
	}
	if r.push != "" {
		if err := (image.Registry{Prefix: r.push, Insecure: r.insecure}).Push(ctx, images...); err != nil {
			return err
		}
	}
	return report(out, images)
}

func parse(args []string) (*request, error) {
	r := &request{}
	flags := pflag.NewFlagSet("images [CONTROLLER...]", pflag.ContinueOnError)
	flags.StringVar(&r.root, "root", ".", "checkout to build")
	flags.StringVar(&r.output, "output", "", "directory for an OCI layout and an SBOM of each; bin/images if nothing is pushed")
	flags.StringVar(&r.push, "push", "", "what the names of the images begin with, such as ghcr.io/weir-gitops")
	flags.BoolVar(&r.insecure, "insecure", false, "let the registry speak plain HTTP")
	flags.StringVar(&r.version, "version", image.Version, "version for tags and labels")
	flags.StringSliceVar(&r.platforms, "platform", nil, "linux/amd64, linux/arm64 or both; this machine's if none is given")
	flags.StringVar(&r.system, "system", "", "only write the files that an image has beside its program to this directory")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	r.names = flags.Args()
	var err error
	if r.root, err = filepath.Abs(r.root); err != nil {
		return nil, fmt.Errorf("find the checkout: %w", err)
	}
	if r.output == "" && r.push == "" {
		r.output = filepath.Join(r.root, "bin", "images")
	}
	return r, nil
}

// build makes the images for one platform after the other.
func (r *request) build(ctx context.Context) ([]*image.Image, error) {
	platforms := []v1.Platform{{}}
	if len(r.platforms) > 0 {
		platforms = nil
	}
	for _, text := range r.platforms {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, fmt.Errorf("parse --platform=%s: %w; give linux/amd64 or linux/arm64", text, err)
		}
		platforms = append(platforms, *platform)
	}
	var images []*image.Image
	for _, platform := range platforms {
		more, err := image.Build(ctx, r.root, image.Options{Platform: platform, Version: r.version}, r.names...)
		if err != nil {
			return nil, err
		}
		images = append(images, more...)
	}
	return images, nil
}

// report prints what was made.
func report(out io.Writer, images []*image.Image) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tVERSION\tPLATFORM\tDIGEST\tCOMPRESSED\tUNCOMPRESSED")
	for _, i := range images {
		digest, err := i.Digest()
		if err != nil {
			return fmt.Errorf("compute the digest of %s: %w", i.Name, err)
		}
		compressed, err := i.Compressed()
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.Version, i.Platform, digest, megabytes(compressed), megabytes(i.Uncompressed))
	}
	for _, index := range image.Indexes(images...) {
		digest, err := index.Content.Digest()
		if err != nil {
			return fmt.Errorf("compute the digest of %s: %w", index.Name, err)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\tall\t%s\t\t\n", index.Name, index.Version, digest)
	}
	return table.Flush()
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
