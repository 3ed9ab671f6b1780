//go:build !unix

package cputime

import "time"

// Used is the processor time that this process has taken; it is 0 where that is
// not told.
func Used() time.Duration { return 0 }
