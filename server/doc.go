// Package server is a broker: its listener and connections, one file per API
// key, and one table that registers, dispatches and answers ApiVersions.
//
// It ties the other layers together: a broker owns its file (log), its
// replicas (replication) and its side of the controller (election).
//
// # A request
//
// A connection has one goroutine, which reads a request, has it answered, and
// only then reads the next. A handler is a function of the decoded request: a
// loop over topics and partitions that calls functions which return an error,
// and errorCode says which code that is. What the client sees of metadata is one
// immutable image, taken once for a request.
//
// A request's context ends with its client or the broker. Whoever asks for the
// context's Done has the socket watched by a second goroutine until the answer
// is sent: so requests that never wait pay nothing for it.
//
// Faults of requests (package faults) stand between the connection and the
// handler; handlers know nothing of them.
//
// # Roles and metadata
//
// New metadata first changes the roles of this broker's replicas and is shown to
// handlers after that, so that a broker which is named as leader leads when it
// says so. Until it is registered a broker takes no role at all.
//
// # Ends
//
// Crash and PowerOff reset the connections before anything else: no answer
// leaves that the file does not keep. Shutdown moves leaderships first, has
// waiting requests answered, and then closes. All of them return when every
// goroutine of the broker has ended.
package server
