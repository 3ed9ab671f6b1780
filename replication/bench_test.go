package replication_test

import (
	"fmt"
	"testing"
)

// BenchmarkAppend is one append after the other, without a network.
func BenchmarkAppend(b *testing.B) {
	for _, brokers := range []int{1, 3} {
		b.Run(fmt.Sprintf("acks=all/RF%d", brokers), func(b *testing.B) {
			c := newCluster(b, brokers, 1)
			b.ResetTimer()
			for range b.N {
				p, err := c.replica(0).Append(c.batch(plain(), "value"), -1)
				if err != nil {
					b.Fatal(err)
				}
				<-p.Committed()
			}
		})
	}
}
