package replication

import "testing"

func TestNextHighWatermark(t *testing.T) {
	t.Parallel()
	isr := func(end int64) member { return member{inISR: true, end: end} }
	for _, c := range []struct {
		name         string
		current, end int64
		isr, min     int
		others       []member
		want         int64
	}{
		{"alone", 3, 7, 1, 1, nil, 7},
		{"the lowest of the ISR", 3, 9, 3, 2, []member{isr(7), isr(5)}, 5},
		{"never back", 6, 9, 3, 2, []member{isr(7), isr(5)}, 6},
		{"frozen under the minimum", 3, 9, 1, 2, []member{{end: 9}}, 3},
		{"an unknown end blocks", 3, 9, 2, 1, []member{isr(-1)}, 3},
		{"outside the ISR does not count", 3, 9, 2, 2, []member{isr(8), {end: 4}}, 8},
		{"a candidate holds it back", 3, 9, 2, 2, []member{isr(8), {candidate: true, end: 4}}, 4},
	} {
		if got := nextHighWatermark(c.current, c.end, c.isr, c.min, c.others); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMaximalISR(t *testing.T) {
	t.Parallel()
	var s isrState
	s.commit([]int32{1, 2, 3})
	s.pending = []int32{1, 2} // 3 is to leave: counts until that is confirmed
	if !s.maximalHas(3) || s.maximalSize() != 3 {
		t.Error("a member that is to leave must count")
	}
	s.commit([]int32{1, 2})
	s.pending = []int32{1, 2, 3} // 3 is to join: counts at once
	if !s.maximalHas(3) || s.maximalSize() != 3 || len(s.committed) != 2 {
		t.Error("a member that is to join must count")
	}
	s.revert()
	if s.maximalHas(3) {
		t.Error("a refused member counts")
	}
}
