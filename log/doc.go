// Package log keeps the partition logs of one broker in one bbolt file.
//
// It knows record batches (magic 2), offsets, leader epochs and producer
// state. It knows nothing of networks, raft or time: whoever calls it hands in
// the time, and decides who leads. It starts no goroutine but the group-commit
// writer of each open file.
package log
