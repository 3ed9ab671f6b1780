package minikafka

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server"
)

// check says all that is wrong with the numbers of a fault, and with effects that
// do not go together.
func (f Fault) check() error {
	var errs []error
	bad := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, badFault(format, args...))
		}
	}
	for _, p := range f.Partitions {
		bad(p < 0, "partition %d: partitions begin at 0", p)
	}
	bad(f.Skip < 0, "Skip of %d: it takes 0 or more", f.Skip)
	bad(f.Count < Always, "Count of %d: it takes 1 or more, or Always (-1)", f.Count)
	bad(math.IsNaN(f.Probability) || f.Probability < 0 || f.Probability > 1, "Probability of %v: it takes 0 to 1", f.Probability)
	bad(f.DelayRequest < 0, "DelayRequest of %v: a delay may not be negative", f.DelayRequest)
	bad(f.DelayAnswer < 0, "DelayAnswer of %v: a delay may not be negative", f.DelayAnswer)
	bad(f.TopLevel && f.Error == "", "TopLevel without an Error")
	switch f.Effect {
	case "":
		bad(f.Error == "" && f.Handle == nil && f.DelayRequest == 0 && f.DelayAnswer == 0,
			"it does nothing: set Error, Effect, DelayRequest, DelayAnswer or Handle")
	case ErrorBeforeWork, ErrorAfterWork:
		bad(f.Error == "", "%s without an Error: name one, such as NOT_LEADER_OR_FOLLOWER", f.Effect)
	case CloseBeforeWork, LoseAnswer, CutAnswer, Observe:
		bad(f.Error != "", "%s and an Error: the client sees only one of them, use two faults", f.Effect)
	default:
		bad(true, "no effect is called %q: there are %v", f.Effect,
			[]Effect{ErrorBeforeWork, ErrorAfterWork, CloseBeforeWork, LoseAnswer, CutAnswer, Observe})
	}
	bad(f.Handle != nil && (f.Effect != "" || f.Error != ""), "Handle, and an Effect or Error: Handle can do what they do")
	return errors.Join(errs...)
}

func badFault(format string, args ...any) error {
	return fmt.Errorf("%w: Fault: %s", ErrArgument, fmt.Sprintf(format, args...))
}

// faultKeys finds API keys by their names, Kafka's or kmsg's, or their numbers.
func faultKeys(names []string) ([]int16, error) {
	served := server.Keys()
	var keys []int16
	for _, name := range names {
		i := slices.IndexFunc(served, func(k kmsg.Key) bool {
			return strings.EqualFold(k.Name(), name) || strconv.Itoa(int(k)) == name ||
				k == kmsg.AlterPartitionAssignments && strings.EqualFold(name, "AlterPartitionReassignments")
		})
		if i >= 0 {
			keys = append(keys, int16(served[i]))
			continue
		}
		all := make([]string, len(served))
		for j, k := range served {
			all[j] = k.Name()
		}
		return nil, badFault("brokers serve no request %q, but %s", name, strings.Join(all, ", "))
	}
	return keys, nil
}

// maxErrorCode is above all error codes that Kafka has.
const maxErrorCode = 1000

// errorNamed finds an error code by its name or number.
func errorNamed(name string) (int16, error) {
	if code, err := strconv.ParseInt(name, 10, 16); err == nil && code != 0 && code >= -1 {
		return int16(code), nil
	}
	name = strings.ToUpper(name)
	if name == "NOT_LEADER_OR_FOLLOWER" {
		return kerr.NotLeaderForPartition.Code, nil // as it was called before Kafka 2.6
	}
	for code := int16(-1); code < maxErrorCode; code++ {
		if e := kerr.ErrorForCode(code); e != nil && kerrCode(e) == code && kerrName(e) == name {
			return code, nil
		}
	}
	return 0, badFault("no error is called %q: the names are those of Kafka's protocol, such as NOT_LEADER_OR_FOLLOWER, or numbers", name)
}

func kerrCode(err error) int16 {
	var e *kerr.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func kerrName(err error) string {
	var e *kerr.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}

// String tells a fault in a few words.
func (f Fault) String() string {
	out := "all requests"
	if len(f.APIs) > 0 {
		out = strings.Join(f.APIs, ", ")
	}
	say := func(is bool, format string, args ...any) {
		if is {
			out += fmt.Sprintf(format, args...)
		}
	}
	say(len(f.Brokers) > 0, " to brokers %v", f.Brokers)
	say(f.ClientID != "", " by client %s", f.ClientID)
	say(f.Topic != "", " of topic %s", f.Topic)
	say(f.TopicID != [16]byte{}, " of topic id %x", f.TopicID)
	say(len(f.Partitions) > 0, " of partitions %v", f.Partitions)
	say(f.Group != "", " of group %s", f.Group)
	say(f.TransactionalID != "", " of transactional id %s", f.TransactionalID)
	say(f.Resource != "", " of %s", f.Resource)
	say(f.Match != nil, " that match")
	say(f.Skip > 0, ", not the first %d", f.Skip)
	say(f.Probability > 0, ", with probability %v", f.Probability)
	out += ":"
	say(f.DelayRequest > 0, " request delayed %s", delayText(f.DelayRequest))
	say(f.Error != "", " %s", f.Error)
	say(f.Effect != "", " %s", f.Effect)
	say(f.TopLevel, " for the whole request")
	say(f.Handle != nil, " answered by a function")
	say(f.DelayAnswer > 0, " answer delayed %s", delayText(f.DelayAnswer))
	return out
}

func delayText(d fmt.Stringer) string {
	if d == UntilRemoved {
		return "until removed"
	}
	return d.String()
}
