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
// would open any URL and any local file that a schema refers to; this one asks
// fetch for URLs, and opens no file.
type schemas struct {
	fetch func(address string) ([]byte, error)
}

// check returns what is wrong with the values of a chart and of its subcharts,
// by chart. Values are those that templates see.
func (s schemas) check(c *chart.Chart, values map[string]any) error {
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
	if target.Scheme == "urn" {
		return true, nil // as Helm does: nobody can resolve it, so it allows anything
	}
	body, err := s.fetch(address)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("download the schema %s: it is not JSON", nameOf(target))
	}
	return document, nil
}

// nameOf returns a URL without what may be secret in it.
func nameOf(target *url.URL) string { return target.Scheme + "://" + target.Host + target.Path }

// downloads gets what the schemas of one chart refer to, through a client that
// keeps the controller's rules. Nil: nothing.
type downloads struct {
	client *http.Client
	loaded int
	// end of all of them; the first one sets it.
	end time.Time
}

// reply answers with what is asked for, or with why there is none.
func (d *downloads) reply(ctx context.Context, q *schemaQuestion) *reply {
	body, err := d.get(ctx, q.Address)
	if err != nil {
		return &reply{Fault: err.Error()}
	}
	return &reply{Body: body}
}

// get downloads a schema.
func (d *downloads) get(ctx context.Context, address string) ([]byte, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("a schema refers to an invalid URL")
	}
	name := nameOf(target)
	if target.Scheme != "http" && target.Scheme != "https" {
		return nil, fmt.Errorf("a schema refers to %s, which is outside of the chart; only http and https can be loaded", target.Redacted())
	}
	if d.client == nil {
		return nil, fmt.Errorf("a schema refers to %s, and schemas are not downloaded here", name)
	}
	if d.loaded++; d.loaded > maxSchemas {
		return nil, fmt.Errorf("download the schema %s: the schemas of the chart refer to more than %d others", name, maxSchemas)
	}
	if d.end.IsZero() {
		d.end = time.Now().Add(schemaTimeout)
	}
	ctx, cancel := context.WithDeadline(ctx, d.end)
	defer cancel()
	body, err := d.read(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("download the schema %s: %w", name, err)
	}
	return body, nil
}

func (d *downloads) read(ctx context.Context, target *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the query
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSchema+1))
	if err == nil && len(body) > maxSchema {
		err = fmt.Errorf("it has more than %d bytes", maxSchema)
	}
	return body, err
}
