package timeline

// Value is one value of a registry (TimelineObject). See [NewValue].
type Value[V any] struct {
	registry *Registry
	now      V
	was      []earlier[V] // by epoch, ascending
}

// earlier is a value as of a snapshot.
type earlier[V any] struct {
	epoch int64
	value V
}

// NewValue returns a value of the registry; as of earlier epochs, too, it is v.
func NewValue[V any](r *Registry, v V) *Value[V] { return &Value[V]{registry: r, now: v} }

// Get is the newest value.
func (v *Value[V]) Get() V { return v.now }

// At is the value as of the newest snapshot at or before the epoch, or the newest
// one for [Latest].
func (v *Value[V]) At(epoch int64) V {
	if epoch == Latest || len(v.was) == 0 {
		return v.now
	}
	since := v.registry.since(epoch)
	for i := range v.was {
		if v.was[i].epoch >= since {
			return v.was[i].value
		}
	}
	return v.now
}

// Set changes the value.
func (v *Value[V]) Set(to V) {
	if epoch, ok := v.registry.changes(); ok {
		if n := len(v.was); n == 0 || v.was[n-1].epoch != epoch {
			v.was = append(v.was, earlier[V]{epoch, v.now})
			v.registry.joins(v)
		}
	}
	v.now = to
}

func (v *Value[V]) undo() {
	last := len(v.was) - 1
	v.now = v.was[last].value
	v.was[last] = earlier[V]{}
	v.was = v.was[:last]
}

func (v *Value[V]) drop() {
	v.was[0] = earlier[V]{}
	v.was = v.was[1:]
}
