package child

import "syscall"

// attr puts a child into a process group of its own, so that Ctrl-C reaches the test alone, and has the kernel kill it when
// the thread that started it ends: with the test process, whatever ends that.
func attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
