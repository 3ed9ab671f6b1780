//go:build unix && !linux

package child

import "syscall"

// attr leaves a child in the test's process group, so that it ends with the test on Ctrl-C. There is no signal at a
// parent's death here: a test binary that is killed leaves its JVMs behind.
func attr() *syscall.SysProcAttr { return nil }
