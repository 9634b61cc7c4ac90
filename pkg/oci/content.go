// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// Limits of what is read.
const (
	maxManifest = 4 << 20
	maxConfig   = 8 << 20
)

// Media types of manifests and configs.
const (
	MediaTypeImage       = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeIndex       = "application/vnd.oci.image.index.v1+json"
	MediaTypeDockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeEmpty       = "application/vnd.oci.empty.v1+json"

	mediaTypeConfig       = "application/vnd.oci.image.config.v1+json"
	mediaTypeDockerConfig = "application/vnd.docker.container.image.v1+json"
	mediaTypeSchema1      = "application/vnd.docker.distribution.manifest.v1"
)

// Descriptor points to a manifest or a blob.
type Descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Platform     *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// Content is a manifest or an index as it is stored. It is shared and must not
// be changed.
type Content struct {
	// Digest is that of Body.
	Digest string `json:"-"`
	// Body is what was parsed.
	Body []byte `json:"-"`

	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *Descriptor       `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Manifests     []Descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations"`
}

// Index says whether this lists other manifests.
func (c *Content) Index() bool {
	return c.MediaType == MediaTypeIndex || c.MediaType == MediaTypeDockerList
}

// Digest returns what a tag stands for now.
func (c *Client) Digest(ctx context.Context, repo Repository, access Access, tag string) (string, error) {
	digest, err := c.resolve(ctx, repo, access, tag)
	if err != nil {
		return "", fmt.Errorf("resolve %s:%s: %w", repo, tag, err)
	}
	return digest, nil
}

func (c *Client) resolve(ctx context.Context, repo Repository, access Access, tag string) (string, error) {
	if !ValidTag(tag) {
		return "", failf(ErrImage, "no registry can have such a tag")
	}
	resp, err := c.do(ctx, manifestRequest(http.MethodHead, repo, access, tag))
	switch {
	case errors.Is(err, ErrUnsupported):
		// A registry, or a proxy before it, that does not know HEAD.
	case err != nil:
		return "", err
	default:
		_ = resp.Body.Close()
		if digest := resp.Header.Get("Docker-Content-Digest"); ValidDigest(digest) {
			return digest, nil
		}
	}
	content, err := c.fetch(ctx, repo, access, tag)
	if err != nil {
		return "", err
	}
	return content.Digest, nil
}

func manifestRequest(method string, repo Repository, access Access, reference string) request {
	accept := []string{MediaTypeImage, MediaTypeIndex, MediaTypeDockerImage, MediaTypeDockerList}
	return request{
		repo: repo, access: access, method: method, path: "manifests/" + reference,
		header: http.Header{"Accept": {strings.Join(accept, ", ")}},
	}
}

// Read returns the manifest or index at a tag or a digest. What is read by
// digest has that digest, and is kept.
func (c *Client) Read(ctx context.Context, repo Repository, access Access, reference string) (*Content, error) {
	separator := "@"
	if !ValidDigest(reference) {
		if separator = ":"; !ValidTag(reference) {
			return nil, failf(ErrImage, "read %s: %q is neither a tag nor a digest", repo, shorten(reference))
		}
	}
	content, err := c.fetch(ctx, repo, access, reference)
	if err != nil {
		return nil, fmt.Errorf("read %s%s%s: %w", repo, separator, reference, err)
	}
	return content, nil
}

func (c *Client) fetch(ctx context.Context, repo Repository, access Access, reference string) (*Content, error) {
	key := cacheKey("manifest", repo, access, reference)
	byDigest := ValidDigest(reference)
	if byDigest {
		if content, found := lookup[*Content](c.cache, key); found {
			return content, nil
		}
	}
	resp, err := c.do(ctx, manifestRequest(http.MethodGet, repo, access, reference))
	if err != nil {
		return nil, err
	}
	body, err := read(resp, repo.host, maxManifest)
	if err != nil {
		return nil, err
	}
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	if strings.HasPrefix(mediaType, mediaTypeSchema1) {
		return nil, errSchema1()
	}
	digest := digestOf(body)
	if byDigest && digest != reference {
		return nil, failf(ErrMalformed, "the registry %s sent a manifest with another digest, %s", repo.host, digest)
	}
	content, err := parseContent(body, mediaType)
	if err != nil {
		return nil, err
	}
	content.Digest, content.Body = digest, body
	if byDigest {
		c.cache.put(key, content, 3*int64(len(body))) // the text, and what was parsed from it
	}
	return content, nil
}

func errSchema1() error {
	return failf(ErrUnsupported, "the image is in schema 1 of Docker, which was given up years ago; push it again with a tool of today")
}

// parseContent reads a manifest. One that could be taken for an image by some
// and for an index by others is refused: what is judged must be what runs.
func parseContent(body []byte, mediaType string) (*Content, error) {
	content := &Content{}
	if err := json.Unmarshal(body, content); err != nil {
		return nil, failf(ErrMalformed, "the manifest is not valid JSON of its kind")
	}
	if content.SchemaVersion == 1 {
		return nil, errSchema1()
	}
	image := content.Config != nil || content.Layers != nil
	if image && content.Manifests != nil {
		return nil, failf(ErrMalformed, "the manifest is both an image and an index")
	}
	if err := content.settleType(mediaType, image); err != nil {
		return nil, err
	}
	switch {
	case content.Index() && image:
		return nil, failf(ErrMalformed, "the index has layers or a config")
	case content.Index():
		return content, nil
	case content.MediaType != MediaTypeImage && content.MediaType != MediaTypeDockerImage:
		return nil, failf(ErrUnsupported, "the manifest is of the type %q, which is neither an image, an index nor an artifact", shorten(content.MediaType))
	case content.Manifests != nil || content.Config == nil:
		return nil, failf(ErrMalformed, "the manifest has no config")
	default:
		return content, nil
	}
}

// settleType fills in the type of a manifest that does not give its own: that
// which it is served as, or what it looks like.
func (c *Content) settleType(served string, image bool) error {
	switch known := isManifest(served); {
	case c.MediaType != "" && known && served != c.MediaType:
		return failf(ErrMalformed, "the manifest says of itself that it is of the type %q, and is served as another", shorten(c.MediaType))
	case c.MediaType != "":
	case known:
		c.MediaType = served
	case image:
		c.MediaType = MediaTypeImage
	default:
		c.MediaType = MediaTypeIndex
	}
	return nil
}

// Blob returns the blob with a digest, of at most limit bytes.
func (c *Client) Blob(ctx context.Context, repo Repository, access Access, digest string, limit int64) ([]byte, error) {
	blob, err := c.blob(ctx, repo, access, digest, limit)
	if err != nil {
		return nil, blobError(repo, digest, err)
	}
	return blob, nil
}

func (c *Client) blob(ctx context.Context, repo Repository, access Access, digest string, limit int64) ([]byte, error) {
	if !ValidDigest(digest) {
		return nil, failf(ErrMalformed, "only digests of the kind sha256 are read")
	}
	key := cacheKey("blob", repo, access, digest)
	if blob, found := lookup[[]byte](c.cache, key); found {
		return blob, nil
	}
	resp, err := c.do(ctx, request{repo: repo, access: access, method: http.MethodGet, path: "blobs/" + digest})
	if err != nil {
		return nil, err
	}
	body, err := read(resp, repo.host, limit)
	if err != nil {
		return nil, err
	}
	if got := digestOf(body); got != digest {
		return nil, otherDigest(repo.host, got)
	}
	c.cache.put(key, body, int64(len(body)))
	return body, nil
}

func cacheKey(kind string, repo Repository, access Access, digest string) string {
	return kind + " " + access.Key() + " " + repo.String() + "@" + digest
}

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
