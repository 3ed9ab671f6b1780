package minikafka

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// dirFormat is the version of what a data directory holds.
const dirFormat = 1

// metaFile is what makes a directory a cluster's (Kafka's meta.properties).
const metaFile = "cluster.json"

type dirMeta struct {
	Version     int     `json:"version"`
	ClusterID   string  `json:"cluster.id"`
	Controllers []int32 `json:"controllers"`
}

// openDir makes or opens the data directory and finds the cluster's id. Without a
// directory the files are in memory, or in a temporary one where that cannot be.
func (c *cluster) openDir(dir string) error {
	if dir == "" {
		c.temporary, c.id = true, newClusterID()
		if c.memory = newMemory(c.id); c.memory != nil {
			return nil
		}
		temp, err := os.MkdirTemp("", "minikafka-")
		if err != nil {
			return fmt.Errorf("minikafka: %w", err)
		}
		c.dir = temp
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	c.dir = dir
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.formatDir(path)
	}
	if err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	var meta dirMeta
	if err := json.Unmarshal(text, &meta); err != nil || meta.ClusterID == "" {
		return fmt.Errorf("%w: %s is not what minikafka writes", ErrDataDir, path)
	}
	if meta.Version != dirFormat {
		return fmt.Errorf("%w: %s has format %d, this version knows %d", ErrDataDir, path, meta.Version, dirFormat)
	}
	if !slices.Equal(meta.Controllers, c.layout.controllers) {
		return fmt.Errorf("%w: %s holds a cluster with %d controllers, not %d",
			ErrDataDir, dir, len(meta.Controllers), len(c.layout.controllers))
	}
	c.id = meta.ClusterID
	return nil
}

// formatDir writes the file; whole or not at all, as it names the cluster.
func (c *cluster) formatDir(path string) error {
	c.id = newClusterID()
	text, err := json.MarshalIndent(dirMeta{dirFormat, c.id, c.layout.controllers}, "", "  ")
	if err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	return nil
}

// newClusterID returns an id as Kafka's Uuid writes them: 16 bytes in URL-safe
// base64 without padding, not beginning with a dash.
func newClusterID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// file is the path of a node's file.
func (c *cluster) file(name string) (string, error) {
	if c.memory != nil {
		return c.memory.path(name)
	}
	return filepath.Join(c.dir, name), nil
}

// logDir is what clients are told of a broker's file, "" for its path.
func (c *cluster) logDir(id int32) string {
	if c.memory != nil {
		return "/memory/" + brokerFile(id)
	}
	return ""
}

func (c *cluster) closeDir() error {
	if c.memory != nil {
		return c.memory.close()
	}
	if !c.temporary {
		return nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("minikafka: %w", err)
	}
	return nil
}
