//go:build !synctests

package minikafka_test

// franzInVirtualTime tells whether franz-go's consumers can be in a bubble of
// testing/synctest.
const franzInVirtualTime = false
