package log

import "math"

// segment is a run of entries that Kafka would keep in one segment file. The
// file knows no segments: they are worked out when retention or compaction
// asks, by the rules by which Kafka rolls (LogSegment.shouldRoll), from the
// first entry on. So they differ from Kafka's where the log start lies inside of
// a segment, which begins anew there, and where settings were changed.
type segment struct {
	first, last uint64
	base        int64 // of the first entry
	end         int64 // of the next one, or the log end
	bytes       int64
	// firstTimestamp is the largest timestamp of the first batch, largest that
	// of all; -1 when there are none. modifiedMs is when the last entry came.
	firstTimestamp, largest int64
	modifiedMs              int64
	active                  bool
}

// age is the time by which the segment ages: its largest timestamp, or when it
// was last appended to (LogSegment.largestTimestamp).
func (s *segment) age() int64 {
	if s.largest >= 0 {
		return s.largest
	}
	return s.modifiedMs
}

// segmentRules are the settings by which segments roll; not positive: never.
type segmentRules struct {
	bytes, ms int64
}

// segmentAt is the segment that begins with the entry at index.
func (v *view) segmentAt(index uint64, logEnd int64, m *meta, r segmentRules) (segment, error) {
	head, err := v.at(index)
	if err != nil {
		return segment{}, err
	}
	before := m.prevBytes
	if index > v.first {
		previous, err := v.at(index - 1)
		if err != nil {
			return segment{}, err
		}
		before = previous.bytes
	}
	next, err := v.rollAt(&head, before, r)
	if err != nil {
		return segment{}, err
	}
	tail, err := v.at(next - 1)
	if err != nil {
		return segment{}, err
	}
	s := segment{
		first: index, last: next - 1, base: head.base, end: logEnd, bytes: tail.bytes - before,
		modifiedMs: tail.appendedMs, active: next > v.last,
	}
	if !s.active {
		following, err := v.at(next)
		if err != nil {
			return segment{}, err
		}
		s.end = following.base
	}
	return s, v.measure(&s, &head, &tail, m)
}

// rollAt is the index of the first entry that would begin the next segment.
func (v *view) rollAt(head *stored, before int64, r segmentRules) (uint64, error) {
	next := v.last + 1
	roll := func(is func(*stored) bool) error {
		i, err := v.find(head.index+1, is)
		next = min(next, i)
		return err
	}
	if err := roll(func(s *stored) bool { return s.last-head.base > math.MaxInt32 }); err != nil {
		return 0, err
	}
	if r.bytes > 0 {
		if err := roll(func(s *stored) bool { return s.bytes-before > r.bytes }); err != nil {
			return 0, err
		}
	}
	if r.ms <= 0 {
		return next, nil
	}
	return v.rollByTime(head, next, r.ms)
}

// rollByTime finds the first entry up to next that comes too late for the
// segment.
func (v *view) rollByTime(head *stored, next uint64, ms int64) (uint64, error) {
	first, err := v.firstServed(head.index, next)
	if err != nil || first == nil {
		return next, err
	}
	if first.timestamp < 0 {
		i, err := v.find(first.index+1, func(s *stored) bool { return s.appendedMs-first.appendedMs > ms })
		return min(next, i), err
	}
	if first.largest-first.timestamp <= ms {
		i, err := v.find(first.index+1, func(s *stored) bool { return s.largest-first.timestamp > ms })
		return min(next, i), err
	}
	// Times went back before this segment: "largest so far" says nothing.
	err = v.walk(first.index+1, func(s *stored) (bool, error) {
		if s.index >= next {
			return false, nil
		}
		if s.served() && s.timestamp-first.timestamp > ms {
			next = s.index
			return false, nil
		}
		return true, nil
	})
	return next, err
}

// firstServed is the first entry with a batch from index on and before next.
func (v *view) firstServed(index, next uint64) (*stored, error) {
	var found *stored
	err := v.walk(index, func(s *stored) (bool, error) {
		if s.index >= next {
			return false, nil
		}
		if s.served() {
			found = &stored{header: s.header, index: s.index}
		}
		return found == nil, nil
	})
	return found, err
}

// measure fills in times, and after compaction the size.
func (v *view) measure(s *segment, head, tail *stored, m *meta) error {
	s.firstTimestamp, s.largest = noTimestamp, tail.largest
	first, err := v.firstServed(s.first, s.last+1)
	if err != nil {
		return err
	}
	if first != nil {
		s.firstTimestamp = first.timestamp
	}
	if m.saved == 0 && (tail.largest > head.largest || (head.served() && head.timestamp == head.largest)) {
		return nil
	}
	s.largest, s.bytes = noTimestamp, 0
	return v.walk(s.first, func(e *stored) (bool, error) {
		if e.index > s.last {
			return false, nil
		}
		if e.served() {
			s.largest = max(s.largest, e.timestamp)
			s.bytes += int64(len(e.data))
		}
		return true, nil
	})
}

// segments calls fn for the segments from the entry at index on, until it
// returns false.
func (v *view) segments(index uint64, logEnd int64, m *meta, r segmentRules, fn func(*segment) bool) error {
	for index <= v.last {
		s, err := v.segmentAt(index, logEnd, m, r)
		if err != nil {
			return err
		}
		if !fn(&s) {
			return nil
		}
		index = s.last + 1
	}
	return nil
}
