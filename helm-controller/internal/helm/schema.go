// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"
)

const (
	// schemaFile is what errors call the schema of a chart.
	schemaFile = "file:///values.schema.json"
	// schemaTimeout bounds the downloads of all schemas that those of a chart
	// refer to, and maxSchemas how many there may be: each may refer to more.
	schemaTimeout = 30 * time.Second
	maxSchemas    = 64
	// maxSchema is the largest one in bytes.
	maxSchema = 4 << 20
)

// schemas checks values against the schemas of charts. The SDK's own check
// would open any URL and any local file that a schema refers to; this one opens
// URLs through client, which keeps the controller's rules, and no file. Nil: no
// URL either.
type schemas struct {
	ctx    context.Context //nolint:containedctx // the loader's interface takes none
	client *http.Client
	// loaded counts the downloads.
	loaded *int
}

// check returns what is wrong with the values of a chart and of its subcharts,
// by chart. Values are those that templates see.
func (s schemas) check(c *chart.Chart, values map[string]any) error {
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(s.ctx, schemaTimeout)
	defer cancel()
	s.loaded = new(int)
	problems := s.problems(c, values)
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("values don't meet the specifications of the schema(s) in the following chart(s):\n%s",
		strings.Join(problems, "\n"))
}

func (s schemas) problems(c *chart.Chart, values map[string]any) []string {
	var problems []string
	if c.Schema != nil {
		if err := s.checkOne(c.Schema, values); err != nil {
			problems = append(problems, c.Name()+":\n"+err.Error())
		}
	}
	for _, sub := range c.Dependencies() {
		switch inner := values[sub.Name()].(type) {
		case nil:
		case map[string]any:
			problems = append(problems, s.problems(sub, inner)...)
		default:
			problems = append(problems, fmt.Sprintf("%s:\ninvalid type for values: expected object (map), got %T", sub.Name(), inner))
		}
	}
	return problems
}

func (s schemas) checkOne(schema []byte, values map[string]any) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return fmt.Errorf("values.schema.json is not JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(s)
	if err := compiler.AddResource(schemaFile, document); err != nil {
		return fmt.Errorf("values.schema.json is not a schema: %w", err)
	}
	compiled, err := compiler.Compile(schemaFile)
	if err != nil {
		return fmt.Errorf("values.schema.json is not a schema: %w", err)
	}
	if err := compiled.Validate(values); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "jsonschema validation failed with '"+schemaFile+"#'\n"))
	}
	return nil
}

// Load implements jsonschema.URLLoader.
func (s schemas) Load(address string) (any, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("a schema refers to an invalid URL")
	}
	switch target.Scheme {
	case "urn":
		return true, nil // as Helm does: nobody can resolve it, so it allows anything
	case "http", "https":
		return s.download(target)
	}
	return nil, fmt.Errorf("a schema refers to %s, which is outside of the chart; only http and https can be loaded", target.Redacted())
}

func (s schemas) download(target *url.URL) (any, error) {
	name := target.Scheme + "://" + target.Host + target.Path
	if s.client == nil {
		return nil, fmt.Errorf("a schema refers to %s, and schemas are not downloaded here", name)
	}
	if *s.loaded++; *s.loaded > maxSchemas {
		return nil, fmt.Errorf("download the schema %s: the schemas of the chart refer to more than %d others", name, maxSchemas)
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("download the schema %s: %w", name, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the query
		}
		return nil, fmt.Errorf("download the schema %s: %w", name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("download the schema %s: the server answers %s", name, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSchema+1))
	if err != nil {
		return nil, fmt.Errorf("download the schema %s: %w", name, err)
	}
	if len(body) > maxSchema {
		return nil, fmt.Errorf("download the schema %s: it has more than %d bytes", name, maxSchema)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("download the schema %s: it is not JSON", name)
	}
	return document, nil
}
