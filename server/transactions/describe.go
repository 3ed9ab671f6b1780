package transactions

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Describe is the state of a transactional id (handleDescribeTransactions), or
// TRANSACTIONAL_ID_NOT_FOUND. Its partitions come in order.
func (s *Shard) Describe(id string) (*Transaction, []Partition, error) {
	t, err := s.seen(id)
	if err != nil {
		return nil, nil, kerr.TransactionalIDNotFound
	}
	return t, t.sorted(), nil
}

// List are the transactional ids that the filter takes, by their names.
func (s *Shard) List(takes func(*Transaction) bool) []*Transaction {
	var list []*Transaction
	for id, t := range s.ids.All() {
		if before, waits := s.pending[id]; waits {
			t = before
		}
		if takes(t) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *Transaction) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
