package assignor

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/minikafka/minikafka/log"
)

// hashSet is a set that knows in which order Java goes through a HashSet, or the
// keys of a HashMap, that keys were added to and removed from in the same order:
// that of the buckets, and of the additions within a bucket.
type hashSet[K comparable] struct {
	hash  func(K) int32
	table int // the number of buckets
	// prepends is set for the keys of a map that computeIfAbsent puts there: it
	// puts a new one before the others of its bucket.
	prepends bool
	keys     []K
}

// newHashSet returns an empty set; capacity is what HashMap's constructor takes,
// 16 where it takes none.
func newHashSet[K comparable](hash func(K) int32, capacity int) *hashSet[K] {
	table := 1
	for table < capacity {
		table *= 2
	}
	return &hashSet[K]{hash: hash, table: table}
}

// capacityFor is the capacity that Kafka's assignors ask for with so many keys in
// mind (AssignorHelpers.newHashMap).
func capacityFor(keys int) int { return int(float32(keys+1)/0.75 + 1) }

func (s *hashSet[K]) add(k K) {
	if slices.Contains(s.keys, k) {
		return
	}
	if s.prepends { // It grows before, not after.
		s.grow()
		s.keys = slices.Insert(s.keys, 0, k)
		return
	}
	s.keys = append(s.keys, k)
	s.grow()
}

func (s *hashSet[K]) grow() {
	if 4*len(s.keys) > 3*s.table {
		s.table *= 2
	}
}

func (s *hashSet[K]) remove(k K) {
	if i := slices.Index(s.keys, k); i >= 0 {
		s.keys = slices.Delete(s.keys, i, i+1)
	}
}

// order returns the keys as Java's iterator does.
func (s *hashSet[K]) order() []K {
	bucket := func(k K) int {
		h := uint32(s.hash(k))
		return int(h^h>>16) & (s.table - 1)
	}
	return slices.SortedStableFunc(slices.Values(s.keys), func(a, b K) int { return cmp.Compare(bucket(a), bucket(b)) })
}

// hashUUID is Uuid.hashCode.
func hashUUID(id log.TopicID) int32 {
	x := binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
	return int32(x>>32) ^ int32(x)
}
