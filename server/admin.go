package server

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strconv"
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
	// settle waits until what has been changed is in force, on the topics'
	// leaders above all.
	settle func(ctx context.Context, topics []string)
	// quorum asks the active controller about the controllers.
	quorum func(context.Context) (*election.Quorum, error)
	// static are the configs the broker was started with, its id, rack and
	// listeners among them.
	static  map[string]string
	loggers *loggers
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
	code := errorCode(err)
	if code == kerr.UnknownServerError.Code {
		return apiError{code: code}
	}
	return apiError{code: code, message: errorMessage(err)}
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

// admin are the broker's admin requests.
func (b *broker) admin() *adminAPI {
	return &adminAPI{
		broker: b.config.ID, image: b.image, do: b.do, settle: b.settle, quorum: b.election.Quorum,
		static: b.told(), loggers: &b.loggers,
	}
}

// told are the static configs as a client is told them: with those that say
// which broker it is, and where, as Kafka's have them in server.properties.
func (b *broker) told() map[string]string {
	all := map[string]string{
		"node.id":                        strconv.Itoa(int(b.config.ID)),
		"broker.id":                      strconv.Itoa(int(b.config.ID)),
		"process.roles":                  "broker",
		"listeners":                      "PLAINTEXT://" + b.listenAddr(),
		"advertised.listeners":           "PLAINTEXT://" + b.addr(),
		"inter.broker.listener.name":     "PLAINTEXT",
		"controller.listener.names":      "CONTROLLER",
		"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs":                       filepath.Dir(b.config.Path),
	}
	if b.config.Rack != "" {
		all["broker.rack"] = b.config.Rack
	}
	maps.Copy(all, b.config.Static)
	return all
}

// settleLimit bounds the wait for a change to be in force where the request has
// no timeout of its own.
const settleLimit = 30 * time.Second

// settle waits until what commands have changed is in force on the brokers: a
// client that goes on at once finds it. Kafka does not wait.
func (b *broker) settle(ctx context.Context, topics []string) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := b.election.Settle(ctx, topics); err != nil {
		b.logger.Debug("answering before a change is in force everywhere", "topics", topics, "error", err)
	}
}

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
