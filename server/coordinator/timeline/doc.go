// Package timeline holds state that can be read as it was at an earlier offset,
// and taken back to it (Kafka's SnapshotRegistry, TimelineHashMap and
// TimelineObject).
//
// A [Registry] knows the offsets, called epochs, at which the state may be looked
// at. A [Map] or a [Value] of it is changed and read like an ordinary one, and
// remembers for each epoch what it has changed since. What is kept in them is
// immutable (it is replaced, and never changed in place), or made of maps and
// values of the same registry.
//
// Nothing here locks: a registry and what belongs to it are used by one goroutine
// at a time.
package timeline
