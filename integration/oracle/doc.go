// Package oracle runs the same scripts against minikafka and kfake, franz-go's in-memory fake, and compares what the
// client sees, answer by answer. Where they differ, the difference is listed here with the reason, and docs/KFAKE.md is
// made from the list:
//
//	go test ./oracle -update
//
// A difference that is not listed fails the test, and so does a listed one that is gone.
package oracle
