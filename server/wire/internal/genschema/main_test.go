package main

import "testing"

// TestTableIsCurrent fails when kmsg has changed and go generate was not run.
func TestTableIsCurrent(t *testing.T) {
	t.Parallel()
	if err := run("../../schema_gen.go", true); err != nil {
		t.Fatal(err)
	}
}
