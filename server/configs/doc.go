// Package configs is the catalogue of Apache Kafka 4.4.0's configs: names,
// types, defaults, valid values, which may change at run time, and which have
// an effect here. From it come the effective value of a config, where that
// value was set, and what DescribeConfigs tells of it.
//
// Every config of Kafka's is accepted and told, whether it has an effect or not;
// [Config.Effect] says which have.
package configs
