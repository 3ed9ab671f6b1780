package minikafka

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// memory holds the nodes' files as anonymous files of the operating system
// (memfd_create): as fast on a machine with a slow disk, and gone with the process
// however it ends.
type memory struct {
	cluster string // its id, for those who look at what the process has open

	mu    sync.Mutex
	files map[string]*os.File
}

// newMemory returns nil where the operating system does not offer it.
func newMemory(clusterID string) *memory {
	m := &memory{cluster: clusterID, files: map[string]*os.File{}}
	path, err := m.path("probe")
	if err == nil {
		_, err = os.Stat(path) // It needs /proc.
	}
	if err = errors.Join(err, m.close()); err != nil {
		return nil
	}
	return m
}

// path is by what name a file can be opened; it is made when it is first asked for.
func (m *memory) path(name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[name]
	if f == nil {
		fd, err := unix.MemfdCreate("minikafka-"+m.cluster+"-"+name, unix.MFD_CLOEXEC)
		if err != nil {
			return "", fmt.Errorf("minikafka: a file in memory: %w", err)
		}
		f = os.NewFile(uintptr(fd), name)
		m.files[name] = f
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())), nil
}

// close lets go of the files; no node may use them any more.
func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, f := range m.files {
		errs = append(errs, f.Close())
	}
	clear(m.files)
	return errors.Join(errs...)
}
