package election

import (
	"context"
	"errors"
)

var errStub = errors.New("election: not built yet")

type controller struct{}

func startController(ControllerConfig) (*Controller, error) { return nil, errStub }
func (c *controller) active() bool                          { return false }
func (c *controller) image() *Image                         { return nil }
func (c *controller) stop(bool) error                       { return nil }

type client struct{}

func startClient(ClientConfig) *Client                     { return &Client{} }
func (c *client) image() *Image                            { return nil }
func (c *client) epoch() int64                             { return -1 }
func (c *client) unfenced() <-chan struct{}                { return nil }
func (c *client) changed() <-chan struct{}                 { return nil }
func (c *client) waitFor(context.Context, uint64) error    { return errStub }
func (c *client) controlledShutdown(context.Context) error { return errStub }
func (c *client) stop()                                    {}
func (c *client) do(context.Context, Command) (any, error) { return nil, errStub }
