// Package bench holds the benchmarks: `make bench` runs them. Each prints what
// was measured as a ratio to a peer measured in the same run (kfake, the fake of
// franz-go, in the same process), since absolute figures of a shared machine say
// little.
package bench
