// Package election is the cluster's controller: which brokers are alive, who
// leads each partition, which replicas are in sync, which topics and configs
// there are. Controllers are a group of hashicorp/raft with ordinary majority
// elections; its state machine is the cluster metadata, and every rule is
// evaluated when a command is applied.
//
// It knows nothing of record batches and of Kafka requests. Brokers reach it
// through a [Client] over the fabric, and get the metadata as immutable images.
//
// # A command's way
//
// [Client.Do] sends a command to the active controller. That one adds what is
// random (ids of new topics), writes it to its log, and raft replicates it. Each
// controller's state machine applies it: an edit copies what changes of the last
// image, and the rules that Kafka has for the command decide what that is. One
// image is published for all commands of a batch; then the proposer is told. The
// image goes to the brokers, whose [Client] asks for the next one all the time,
// and so tells what it has applied.
//
// # What is not in the log
//
// When a broker was heard of last, and what metadata it has applied, only the
// active controller knows (sessions). A broker is fenced when its session has
// ended, or when it has left the fabric. A timer that fires late gives every
// broker the time that was lost: a slow machine fences nobody.
//
// # Goroutines
//
//	controller  watch: follows raft's leadership; stands for election when the
//	            active controller has left the fabric
//	            rule: while this one is active: fences, elects now and then
//	            raft's own
//	client      live: registers, sends heartbeats
//	            pull: asks for images, calls OnImage
//	            locate: while the active controller is not known, one more for each
//
// Messages are handled on their senders' goroutines.
//
// # Differences from Kafka
//
//   - Placement is the same in each run: the first topic starts with the first
//     broker, each one goes on where the last one stopped.
//   - A reassignment with a new target replaces the running one, also where the
//     new target adds or removes nothing.
//   - A replica that a reassignment removes leaves the ELR, and the last known
//     leader is forgotten when ELR is turned off.
//   - A replica that its broker reports unusable is refused in an ISR until the
//     broker registers again.
//   - CreateTopics that is sent again because a controller died over it succeeds;
//     Kafka answers that the topic exists.
//   - Controllers' files are not synced with each append.
package election
