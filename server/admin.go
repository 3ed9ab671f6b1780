package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
)

// adminAPI serves the requests that read and change the cluster's metadata: it
// checks what Kafka's brokers and controllers check of a request as such, sends
// a command to the controller, and puts the results into the answer's form
// (ControllerApis, ConfigAdminManager, ConfigHelper). It keeps no state.
type adminAPI struct {
	broker int32
	// image is the newest metadata of this broker, never nil.
	image func() *election.Image
	// do runs a command at the active controller; *election.Client has it.
	do func(context.Context, election.Command) (any, error)
	// settle returns when what a command has changed is in force on the brokers
	// that clients reach, or ctx ends.
	settle func(ctx context.Context, c change)
	// static are the configs the broker was started with, its id, rack and
	// listeners among them.
	static  map[string]string
	loggers *loggers
}

// change says what a command has changed, for adminAPI.settle.
type change struct {
	// index is the metadata index to reach; 0 when the command did not tell it.
	index uint64
	// topics whose leaders must serve before the answer goes out.
	topics []string
}

// apiError is a code with its message, as it goes into an answer.
type apiError struct {
	code    int16
	message *string
}

// refuse is an error with a message for the client.
func refuse(sentinel error, message string) error {
	return &election.Error{Err: sentinel, Message: message}
}

// toAPIError finds code and message of an error (ApiError.fromThrowable): a
// message is sent only when there is one beyond what the code says, and none for
// unknown errors, so that nothing internal leaks.
func toAPIError(err error) apiError {
	if err == nil {
		return apiError{}
	}
	code := adminErrorCode(err)
	var told *election.Error
	if code == kerr.UnknownServerError.Code || !errors.As(err, &told) || told.Message == "" {
		return apiError{code: code}
	}
	return apiError{code: code, message: &told.Message}
}

// orDefault fills in the code's own message (ApiError(Errors)).
func (e apiError) orDefault() apiError {
	if e.code == 0 || e.message != nil {
		return e
	}
	if k, ok := kerr.ErrorForCode(e.code).(*kerr.Error); ok { //nolint:errorlint // kerr returns its own values.
		e.message = &k.Description
	}
	return e
}

// result runs a command whose result is of type T.
func result[T any](ctx context.Context, a *adminAPI, c election.Command) (T, error) {
	var none T
	r, err := a.do(ctx, c)
	if err != nil {
		return none, err
	}
	t, ok := r.(T)
	if !ok {
		return none, errUnexpectedResult
	}
	return t, nil
}

var errUnknownOp = errors.New("server: unknown config operation")

var errUnexpectedResult = errors.New("server: the controller answered with another type")

// withTimeout bounds a request's work by the timeout it carries (ms).
func withTimeout(ctx context.Context, timeoutMs int32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(max(timeoutMs, 0))*time.Millisecond)
}

// split separates the names that occur once from those that occur more often;
// both in the order of their first occurrence.
func split[T any](items []T, name func(T) string) (once []T, repeated []string) {
	count := make(map[string]int, len(items))
	for _, it := range items {
		count[name(it)]++
	}
	for _, it := range items {
		n := name(it)
		switch count[n] {
		case 0: // already among the repeated
		case 1:
			once = append(once, it)
		default:
			repeated = append(repeated, n)
			count[n] = 0
		}
	}
	return once, repeated
}
