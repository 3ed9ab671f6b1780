// Package fabric is what nodes of a cluster talk through: typed messages
// between node ids, each link with its own state. It carries opaque values and
// imports nothing of the project; nothing else may reach from one node into
// another.
//
// A message to a node that is down, paused or cut off waits until the node can
// be reached or the sender gives up; nobody polls. Calls run the receiver's
// handler on the caller's goroutine, so a round trip costs no goroutine switch.
package fabric
