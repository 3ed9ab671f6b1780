// Package scenarios runs minikafka's scenarios (internal/scenario) through sarama and kafka-go.
package scenarios
