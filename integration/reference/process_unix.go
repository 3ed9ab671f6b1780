//go:build unix && !linux

package reference

import "syscall"

// childAttr leaves a child in the test's process group, so that it ends with the test on Ctrl-C. There is no signal at a
// parent's death here: a test binary that is killed leaves its JVMs behind.
func childAttr() *syscall.SysProcAttr { return nil }
