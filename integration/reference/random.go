package reference

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mrand "math/rand/v2"
)

// newUUID returns a random id in the form of Kafka's Uuid: 22 characters of URL-safe base64, not starting with a dash, which
// command line tools would take for an option.
func newUUID() string {
	for {
		var b [16]byte
		rand.Read(b[:]) // It never fails.
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// randomAddr returns a loopback address with a port between 10000 and 32000.
func randomAddr() string {
	return fmt.Sprintf("127.0.0.1:%d", 10000+mrand.IntN(22000))
}
