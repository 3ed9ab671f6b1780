//go:build !linux && !darwin

package server

// volume says that the size of the volume is not known.
func volume(string) (total, usable int64) { return -1, -1 }
