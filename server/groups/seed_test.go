package groups

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// seedOf takes the seed of a randomised test from MINIKAFKA_SEED, or makes one,
// and prints it.
func seedOf(t testing.TB) uint64 {
	t.Helper()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed
	}
	seed := rand.Uint64()
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return seed
}
