package log

import "time"

// Retention is what of a log may be deleted by age and size. Whole segments go,
// from the oldest on (see segment), none that reaches beyond Bound (the high
// watermark). The newest, active one goes too when its time or size says so,
// which leaves the log empty, as Kafka does.
type Retention struct {
	Now          time.Time
	Ms           int64 // -1: no limit
	Bytes        int64 // -1: no limit
	SegmentBytes int64
	SegmentMs    int64
	Bound        int64
}

// Retain raises the log start as the retention says (UnifiedLog.
// deleteOldSegments); the new start is returned.
func (p *Partition) Retain(r Retention) (int64, error) {
	p.mu.RLock()
	m, end, size := p.meta, p.tail.end, p.tail.bytes-p.meta.prevBytes-p.meta.saved
	p.mu.RUnlock()
	start := m.logStart
	excess := size - r.Bytes
	bySize := r.Bytes >= 0 && excess >= 0
	err := p.read(func(v *view) error {
		return v.segments(v.first, end, &m, segmentRules{bytes: r.SegmentBytes, ms: r.SegmentMs}, func(s *segment) bool {
			if r.Bound < s.end || s.bytes == 0 && s.active {
				return false
			}
			// Size goes first: what it has taken is gone when time is looked at.
			if bySize && excess >= s.bytes {
				excess -= s.bytes
			} else {
				bySize = false
				if r.Ms < 0 || r.Now.UnixMilli()-s.age() <= r.Ms {
					return false
				}
			}
			start = s.end
			return true
		})
	})
	if err != nil {
		return m.logStart, err
	}
	if err := p.RaiseLogStart(start); err != nil {
		return m.logStart, err
	}
	return p.LogStartOffset(), nil
}
