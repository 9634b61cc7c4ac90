// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// podUID names the variable of the environment that has the UID of the pod.
const podUID = "POD_UID"

// identify returns the name of this process as a candidate for a lease. It is that
// of its pod, if the environment has the pod's UID: a container that is started
// again is the candidate that it was, and takes a lease of its own back without
// waiting for its end. Otherwise it is of this process alone.
//
// No two processes that live have the same name, whoever started them: the name of
// a pod goes with a socket that only one process of the pod's network can hold, and
// that the kernel takes back when the process ends, in whatever way. It is held until
// the returned claim is closed, and a second process gets a name of its own.
func identify(namespace, lease string) (name string, claim io.Closer, err error) {
	host, err := os.Hostname()
	if err != nil {
		return "", nil, fmt.Errorf("name this leader election candidate: %w", err)
	}
	if pod := os.Getenv(podUID); pod != "" {
		if claim, err := claimName(pod + "/" + namespace + "/" + lease); err == nil {
			return host + "_" + pod, claim, nil
		}
	}
	return host + "_" + string(uuid.NewUUID()), io.NopCloser(nil), nil
}

// claimName holds a socket without a file. Nobody has to listen to it.
func claimName(name string) (io.Closer, error) {
	sum := sha256.Sum256([]byte(name))
	return net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: "@weir-lease-" + hex.EncodeToString(sum[:16])})
}
