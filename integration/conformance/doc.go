// Package conformance says what a Kafka cluster does, as a table of situations, and checks it at the wire: which error
// code, which offset, which leader and epoch, what is stored, and what becomes of the connection.
//
// The rows are tests, and they run against whatever speaks the protocol:
//
//	go test ./conformance -target=reference            a real Apache Kafka (needs Java and Maven)
//	go test ./conformance -target=minikafka            minikafka in this process
//	go test ./conformance -target=serve                the minikafka command, broken through its verbs
//	go test ./conformance -target=kfake                franz-go's in-memory fake
//	go test ./conformance -target=host:port,host:port  a cluster that is running already; it needs three brokers
//
// With -quick one row of each kind that breaks nodes is run, beside all that do not.
//
// A row that breaks nodes says which situation it belongs to ([Verb] lists what can be done to a node). All rows of a situation
// run side by side on one cluster: each goes on to the next step when every other has got there, so that a broker
// is killed once for all of them. A target that lacks a verb leaves those rows out.
//
// What the last complete runs saw is kept in testdata, and docs/CONFORMANCE.md is made from it with -update.
package conformance
