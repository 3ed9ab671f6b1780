package share

import (
	"cmp"
	"slices"
)

// Combine puts new state batches over old ones (PersisterStateBatchCombiner):
// for every offset the higher delivery count counts, then the later state.
// Neighbours of the same state become one; what lies before start goes, unless
// start is -1.
func Combine(old, changed []StateBatch, start int64) []StateBatch {
	all := make([]StateBatch, 0, len(old)+len(changed))
	borders := make([]int64, 0, 2*cap(all))
	for _, b := range slices.Concat(old, changed) {
		b.First = max(b.First, start)
		if b.First <= b.Last {
			all = append(all, b)
			borders = append(borders, b.First, b.Last+1)
		}
	}
	slices.SortFunc(all, func(a, b StateBatch) int { return cmp.Compare(a.First, b.First) })
	slices.Sort(borders)
	borders = slices.Compact(borders)
	var result, here []StateBatch
	next := 0
	for i := 0; i+1 < len(borders); i++ {
		from, to := borders[i], borders[i+1]-1
		here = slices.DeleteFunc(here, func(b StateBatch) bool { return b.Last < from })
		for next < len(all) && all[next].First == from {
			here = append(here, all[next])
			next++
		}
		if len(here) == 0 {
			continue
		}
		best := slices.MaxFunc(here, compareState)
		if n := len(result) - 1; n >= 0 && result[n].Last+1 == from && compareState(result[n], best) == 0 {
			result[n].Last = to
			continue
		}
		result = append(result, StateBatch{from, to, best.DeliveryState, best.DeliveryCount})
	}
	return result
}

func compareState(a, b StateBatch) int {
	return cmp.Or(cmp.Compare(a.DeliveryCount, b.DeliveryCount), cmp.Compare(a.DeliveryState, b.DeliveryState))
}
