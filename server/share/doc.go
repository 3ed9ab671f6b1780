// Package share is what a broker knows of share groups (KIP-932): the records
// of a partition that are in flight, the state that a share coordinator keeps
// of them, and the sessions of members.
//
//   - [Partition] decides which records a member gets, and what becomes of them:
//     acknowledged, released, rejected, or available again when their lock has
//     expired. It leads no clock and does no I/O.
//   - [Combine] puts state batches together, as the share coordinator does.
//   - [Sessions] are the share sessions of one broker.
//
// A partition is used under its owner's lock. What it wants to have stored comes
// back as a [Transition], which takes effect once the owner tells how storing it
// went.
package share
