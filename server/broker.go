package server

import (
	"context"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/replication"
)

type endKind int

const (
	endCrash endKind = iota
	endPowerOff
	endShutdown
)

type broker struct{}

func startBroker(Config) (*Broker, error)        { panic("not built yet") }
func (b *broker) ready() <-chan struct{}         { panic("not built yet") }
func (b *broker) id() int32                      { panic("not built yet") }
func (b *broker) addr() string                   { panic("not built yet") }
func (b *broker) listenAddr() string             { panic("not built yet") }
func (b *broker) end(endKind)                    { panic("not built yet") }
func (b *broker) shutdown(context.Context) error { panic("not built yet") }
func (b *broker) closeClientConnections()        { panic("not built yet") }
func (b *broker) image() *election.Image         { panic("not built yet") }
func (b *broker) changed() <-chan struct{}       { panic("not built yet") }
func (b *broker) manager() *replication.Manager  { panic("not built yet") }
func (b *broker) client() *election.Client       { panic("not built yet") }
