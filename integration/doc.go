// Package integration is the root of the module that holds minikafka's tests against other people's software: a real
// Apache Kafka, kfake, and clients in several languages. It is a module of its own, so that what it depends on never
// reaches a program that imports minikafka.
package integration
