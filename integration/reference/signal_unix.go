//go:build unix

package reference

import (
	"os"
	"syscall"
)

// canSignal says that processes can be paused.
const canSignal = true

func signals() (stop, pause, resume os.Signal) {
	return syscall.SIGTERM, syscall.SIGSTOP, syscall.SIGCONT
}
