// Package robust holds tests that measure this process, its memory, goroutines
// and files, while a cluster is treated badly: hostile input from the network,
// thousands of connections, nodes started and crashed over and over. They run
// one after the other, and so apart from all other tests.
package robust
