package groups

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/minikafka/minikafka/election"
)

// metadataHash is a hash of the subscribed topics that exist: of their ids and
// numbers of partitions, and of the racks of the replicas (KIP-1101). When it
// changes, the group gets a new epoch. It is 0 for no topics. Only the records
// show it, and only this coordinator compares it, so it is FNV-1a and not Kafka's
// XXH3.
func metadataHash(topics map[string]subscriptionCount, image *election.Image) int64 {
	h := fnv.New64a()
	some := false
	number := func(n int) { _, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) }
	text := func(s string) {
		number(len(s))
		_, _ = h.Write([]byte(s))
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		var t *election.Topic
		if image != nil {
			t = image.Topics[name]
		}
		if t == nil {
			continue
		}
		some = true
		_, _ = h.Write(t.ID[:])
		text(name)
		number(len(t.Partitions))
		for _, p := range t.Partitions {
			racks := racksOf(p, image)
			number(len(racks))
			for _, r := range racks {
				text(r)
			}
		}
	}
	if !some {
		return 0
	}
	return int64(h.Sum64())
}

func racksOf(p *election.Partition, image *election.Image) []string {
	var racks []string
	for _, id := range p.Replicas {
		if b := image.Brokers[id]; b != nil && b.Rack != "" {
			racks = append(racks, b.Rack)
		}
	}
	slices.Sort(racks)
	return racks
}
