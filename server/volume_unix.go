//go:build linux || darwin

package server

import "syscall"

// volume returns the size in bytes of the volume that a directory is on, and how much of it can still be written; -1
// when that is not known.
func volume(dir string) (total, usable int64) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return -1, -1
	}
	size := int64(s.Bsize)
	return int64(s.Blocks) * size, int64(s.Bavail) * size
}
