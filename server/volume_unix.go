//go:build linux || darwin

package server

import "syscall"

// volume returns the size in bytes of the volume that a file is on, and how
// much of it can still be written; -1 when that is not known, as of a file in memory.
func volume(file string) (total, usable int64) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(file, &s); err != nil || s.Blocks == 0 {
		return -1, -1
	}
	size := int64(s.Bsize)
	return int64(s.Blocks) * size, int64(s.Bavail) * size
}
