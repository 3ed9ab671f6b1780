package transactions

// State is how far a transaction is (TransactionState). The numbers are those of
// the records in __transaction_state.
type State int8

// The states. Kafka's PrepareEpochFence is never seen here: fencing a producer and
// deciding to abort its transaction are one step.
const (
	Empty State = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
	Dead
)

func (s State) String() string {
	switch s {
	case Empty:
		return "Empty"
	case Ongoing:
		return "Ongoing"
	case PrepareCommit:
		return "PrepareCommit"
	case PrepareAbort:
		return "PrepareAbort"
	case CompleteCommit:
		return "CompleteCommit"
	case CompleteAbort:
		return "CompleteAbort"
	case Dead:
		return "Dead"
	}
	return "Unknown"
}

// ParseState finds a state by the name that ListTransactions knows.
func ParseState(name string) (State, bool) {
	for s := Empty; s <= Dead; s++ {
		if s.String() == name {
			return s, true
		}
	}
	if name == "PrepareEpochFence" {
		return Dead + 1, true // known, and never found
	}
	return 0, false
}

// decided tells whether the outcome is fixed, and its markers are being written.
func (s State) decided() bool { return s == PrepareCommit || s == PrepareAbort }
