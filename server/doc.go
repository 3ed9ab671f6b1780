// Package server is a broker: its listener and connections, one file per API
// key, and one table that registers, dispatches and answers ApiVersions.
//
// It ties the other layers together: a broker owns its file (log), its
// replicas (replication) and its side of the controller (election).
package server
