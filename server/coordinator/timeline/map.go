package timeline

import "iter"

// Map is a map of a registry (TimelineHashMap). See [NewMap].
type Map[K comparable, V any] struct {
	registry *Registry
	now      map[K]V
	was      []difference[K, V] // by epoch, ascending
}

// difference is what a map had at a snapshot where it was changed before the
// next.
type difference[K comparable, V any] struct {
	epoch int64
	size  int
	old   map[K]entry[V]
}

// entry is a value that was there, or was not.
type entry[V any] struct {
	value V
	there bool
}

// NewMap returns an empty map of the registry; as of earlier epochs it is empty,
// too.
func NewMap[K comparable, V any](r *Registry) *Map[K, V] {
	return &Map[K, V]{registry: r, now: map[K]V{}}
}

// Get is the newest value of the key, if it is there.
func (m *Map[K, V]) Get(key K) (V, bool) {
	v, ok := m.now[key]
	return v, ok
}

// GetAt is the key's value as of the newest snapshot at or before the epoch, or
// the newest one for [Latest].
func (m *Map[K, V]) GetAt(epoch int64, key K) (V, bool) {
	for _, d := range m.since(epoch) {
		if e, ok := d.old[key]; ok {
			return e.value, e.there
		}
	}
	return m.Get(key)
}

// since are the differences to undo to see the state as of the epoch.
func (m *Map[K, V]) since(epoch int64) []difference[K, V] {
	if epoch == Latest || len(m.was) == 0 {
		return nil
	}
	at := m.registry.since(epoch)
	for i := range m.was {
		if m.was[i].epoch >= at {
			return m.was[i:]
		}
	}
	return nil
}

// Len is the newest number of keys.
func (m *Map[K, V]) Len() int { return len(m.now) }

// LenAt is the number of keys as of the epoch, as GetAt says.
func (m *Map[K, V]) LenAt(epoch int64) int {
	if d := m.since(epoch); len(d) > 0 {
		return d[0].size
	}
	return len(m.now)
}

// Set gives the key a value.
func (m *Map[K, V]) Set(key K, v V) {
	m.remember(key)
	m.now[key] = v
}

// Delete removes the key.
func (m *Map[K, V]) Delete(key K) {
	if _, ok := m.now[key]; !ok {
		return
	}
	m.remember(key)
	delete(m.now, key)
}

// Clear removes every key.
func (m *Map[K, V]) Clear() {
	for k := range m.now {
		m.Delete(k)
	}
}

// remember keeps what the key has, if the newest snapshot does not know it.
func (m *Map[K, V]) remember(key K) {
	epoch, ok := m.registry.changes()
	if !ok {
		return
	}
	if n := len(m.was); n == 0 || m.was[n-1].epoch != epoch {
		m.was = append(m.was, difference[K, V]{epoch: epoch, size: len(m.now), old: map[K]entry[V]{}})
		m.registry.joins(m)
	}
	old := m.was[len(m.was)-1].old
	if _, ok := old[key]; !ok {
		v, there := m.now[key]
		old[key] = entry[V]{v, there}
	}
}

// All goes through the newest keys and values, in no order. The map may be
// changed meanwhile, as a Go map may.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, v := range m.now {
			if !yield(k, v) {
				return
			}
		}
	}
}

// AllAt goes through the keys and values as of the epoch, as GetAt says, in no
// order. The map must not be changed meanwhile.
func (m *Map[K, V]) AllAt(epoch int64) iter.Seq2[K, V] {
	differences := m.since(epoch)
	if len(differences) == 0 {
		return m.All()
	}
	old := differences[0].old
	if len(differences) > 1 {
		old = map[K]entry[V]{}
		for _, d := range differences {
			for k, e := range d.old {
				if _, ok := old[k]; !ok {
					old[k] = e
				}
			}
		}
	}
	return func(yield func(K, V) bool) {
		for k, e := range old {
			if e.there && !yield(k, e.value) {
				return
			}
		}
		for k, v := range m.now {
			if _, ok := old[k]; !ok && !yield(k, v) {
				return
			}
		}
	}
}

func (m *Map[K, V]) undo() {
	last := len(m.was) - 1
	for k, e := range m.was[last].old {
		if e.there {
			m.now[k] = e.value
		} else {
			delete(m.now, k)
		}
	}
	m.was[last] = difference[K, V]{}
	m.was = m.was[:last]
}

func (m *Map[K, V]) drop() {
	m.was[0] = difference[K, V]{}
	m.was = m.was[1:]
}
