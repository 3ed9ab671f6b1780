//go:build !unix

package child

import "syscall"

// attr is nothing here: a process that is killed leaves its children behind.
func attr() *syscall.SysProcAttr { return nil }
