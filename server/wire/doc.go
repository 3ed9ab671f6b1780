// Package wire is what stands between a client's bytes and kmsg: it cuts
// frames off a connection, parses request headers, walks each request body
// once so that no length, count or tag in it says more than there is, and
// frames responses.
//
// A connection's life is a loop over four calls:
//
//	frame, err := wire.ReadFrame(conn, limits)    // Any error: close.
//	header, body, err := wire.ParseHeader(frame)  // Any error: close.
//	// Is (header.Key, header.Version) offered? If not: close, or for
//	// ApiVersions answer version 0 with UNSUPPORTED_VERSION.
//	err = wire.Scan(header.Key, header.Version, body) // Any error: close.
//	req.ReadFrom(body)
//	out, err = wire.AppendResponse(out[:0], header.CorrelationID, resp)
//
// kmsg trusts what it reads: seven bytes can cost it a minute of CPU, and
// arrays allocate up to 80 times the bytes that they came in. After Scan has
// accepted a body, decoding it takes time in proportion to its length and
// allocates no more than [MaxAllocation] says.
//
// # Who owns the bytes
//
// ReadFrame returns a slice of its own for every frame and keeps nothing of it:
// the caller owns it, and the slices that kmsg cuts from it (Records of a
// Produce request, protocol metadata of a JoinGroup request, unknown tags)
// stay valid for as long as they are kept. A caller that knows that nothing
// refers to a frame any more may lend it to the next ReadFrame in
// [Limits.Reuse]; [Retains] says for which requests kmsg keeps bytes.
package wire

//go:generate go run ./internal/genschema -out schema_gen.go
