// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

// Peer runs in a pod of the tests: it does what it is asked from where it is, and refuses admission to everything.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--hello" {
		fmt.Println("hello")
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /name", name)
	mux.HandleFunc("GET /lookup", lookup)
	mux.HandleFunc("GET /get", get)
	mux.HandleFunc("POST /admit", admit)
	plain := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Minute}
	secret := &http.Server{Addr: ":8443", Handler: mux, ReadHeaderTimeout: time.Minute}
	failed := make(chan error, 2)
	go func() { failed <- plain.ListenAndServe() }()
	go func() { failed <- secret.ListenAndServeTLS("/tls/tls.crt", "/tls/tls.key") }()
	fmt.Println("peer serves")
	select {
	case err := <-failed:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case <-ctx.Done():
	}
}

func name(w http.ResponseWriter, _ *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, host)
}

func lookup(w http.ResponseWriter, r *http.Request) {
	addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	fmt.Fprint(w, addresses[0])
}

// get fetches a URL, with the pod's token if it has one, and answers with what came.
func get(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.FormValue("url"), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	if token, err := os.ReadFile(account + "token"); err == nil {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
	authorities := x509.NewCertPool()
	if ca, err := os.ReadFile(account + "ca.crt"); err == nil {
		authorities.AppendCertsFromPEM(ca)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

func admit(w http.ResponseWriter, r *http.Request) {
	var review struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Request    struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": review.APIVersion,
		"kind":       review.Kind,
		"response":   map[string]any{"uid": review.Request.UID, "allowed": false, "status": map[string]any{"message": "the peer says no"}},
	})
}
