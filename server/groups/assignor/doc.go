// Package assignor holds the server-side assignors of consumer groups (KIP-848):
// "uniform" and "range", as Apache Kafka 4.4.0 has them. They are pure functions
// of the group's members, what these are subscribed to, and the assignment as it
// was; racks play no part in them (Kafka's ignore them too).
//
// Members are taken in the order in which a Java HashMap has their ids, since
// that decides in Kafka who gets the first partitions; topics go by their ids.
package assignor
