// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func parse(t *testing.T, args ...string) *Options {
	t.Helper()
	o := &Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDefaults(t *testing.T) {
	o := parse(t)
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if o.Concurrent != 2 || o.StoragePath != "/data" || o.StorageAddr != ":9090" || o.RetentionRecords != 2 || o.Digest != "sha256" || o.AllowLocalSources {
		t.Errorf("defaults %+v", o)
	}
	if got := o.objects(); got != "/data/.git-objects" {
		t.Errorf("objects in %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"STORAGE_PATH": "/s", "STORAGE_ADDRESS": ":1", "STORAGE_ADV_ADDR": "adv", "POD_NAME": "p", "RUNTIME_NAMESPACE": "ns",
	} {
		t.Setenv(name, value)
	}
	o := parse(t)
	if o.StoragePath != "/s" || o.StorageAddr != ":1" || o.StorageAdvAddr != "adv" || o.Pod != "p" || o.PodNamespace != "ns" {
		t.Errorf("options %+v", o)
	}
	if o = parse(t, "--storage-path=/f", "--git-cache-path=/g"); o.StoragePath != "/f" || o.objects() != "/g" {
		t.Errorf("flags do not win: %+v", o)
	}
}

func TestHost(t *testing.T) {
	tests := map[string]string{
		"--storage-addr=:9090":            "localhost:9090",
		"--storage-addr=10.0.0.1:80":      "10.0.0.1:80",
		"--storage-adv-addr=source.svc.":  "source.svc.",
		"--storage-adv-addr=http://x:1/y": "http://x:1/y",
	}
	for flag, want := range tests {
		if got, err := parse(t, flag).host(); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", flag, got, err, want)
		}
	}
	if got, err := parse(t, "--storage-addr=0.0.0.0:80").host(); err != nil || strings.HasPrefix(got, "0.0.0.0") {
		t.Errorf("%s, %v", got, err)
	}
}

func TestValidateNamesTheFlag(t *testing.T) {
	for _, flag := range []string{
		"--artifact-retention-records=0", "--artifact-max-size=0", "--git-cache-size=-1", "--git-max-transfer-size=0", "--storage-addr=x", "--concurrent=0",
	} {
		name, _, _ := strings.Cut(flag, "=")
		if err := parse(t, flag).Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", flag, err)
		}
	}
}
