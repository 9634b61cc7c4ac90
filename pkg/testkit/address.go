// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports that FreeAddress chooses from: below those that Linux gives to outgoing
// connections and to listeners that ask for any, so that nobody is given one
// between the choice and its use, and below the node ports of Kubernetes.
const (
	firstPort, lastPort = 20000, 29999
	portAttempts        = 100
)

// FreeAddress returns a loopback "host:port" that nobody listens on, for a
// program that has to be told where to listen.
func FreeAddress() (string, error) {
	var errs []error
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //#nosec G404 -- any will do
		listener, err := listenTCP(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return listener.Addr().String(), listener.Close()
	}
	return "", fmt.Errorf("find a free port: %w", errors.Join(errs...))
}

// FreePort is the port of FreeAddress.
func FreePort() (int, error) {
	address, err := FreeAddress()
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
