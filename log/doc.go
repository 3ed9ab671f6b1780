// Package log keeps the partition logs of one broker in one bbolt file.
//
// It knows record batches (magic 2), offsets, leader epochs and producer
// state. It knows nothing of networks, raft or time: whoever calls it hands in
// the time, and decides who leads. It has no goroutine of its own, but for one
// that erases deleted logs while there are any.
//
// # The file
//
// A [DB] has a bucket of entries for each partition. A key is the entry's index,
// big-endian and without gaps; a value is a header of 74 bytes (kind, term,
// offsets, timestamps, sizes) and the batch exactly as it is served; a batch of
// 4000 bytes and more has a bucket in the value's place, with header and batch
// in pages that are written once. Since
// offsets grow with the index, an offset is found by binary search over keys,
// and a time by the header's "largest so far". What entries do not tell lies in
// the bucket "state": log start, term, high watermark, leader epochs, producer
// snapshots, aborted transactions, and the broker's own values. "undo" holds the
// way back to the last sync, "trash" the logs that were deleted or reset,
// "meta" the format.
//
// # Writing
//
// Changes of all partitions share transactions (group commit). The caller that
// finds the writer idle commits at once; those that come meanwhile wait, and one
// of them commits for all. What fails fails alone: the others are done again
// without it. Large truncations, and erasing, go in bounded steps behind
// appends.
//
// # Durability
//
// As Kafka does by default, nothing is synced until [DB.Sync] or [DB.Close]:
// what was written survives [DB.Crash], the death of the process, and
// [DB.PowerOff] takes the file back to the last sync, truncations, deletions and
// compactions included. With Options.SyncEveryAppend each commit is synced. A
// real power cut, without it, may leave a file that bbolt cannot read; opening
// it gives ErrCorruptFile.
//
// # Caveats
//
// The file does not shrink: pages of deleted records are used again. What was
// there at the last sync and has been deleted since keeps its place until the
// next one. A lookup by time may have to walk the log after its prefix was
// trimmed or times have gone back. Segments exist only as a way of counting; see
// [Retention].
package log
