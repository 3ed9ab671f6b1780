//go:build !unix

package reference

import "os"

// canSignal says that processes can be paused.
const canSignal = false

func signals() (stop, pause, resume os.Signal) { return os.Kill, os.Kill, os.Kill }
