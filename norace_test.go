//go:build !race

package minikafka_test

// raceEnabled says that the race detector makes everything slower.
const raceEnabled = false
