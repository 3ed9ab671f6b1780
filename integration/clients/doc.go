// Package clients holds tests of minikafka with clients of other languages: Apache Kafka's own for Java, librdkafka and
// others for Python, kafkajs for Node. Each is a small program in the folder programs, which is told what to send on its
// standard input and tells what happened on its standard output, a JSON object a line; what is sent, broken and expected is
// in the tests, and the same for all.
//
// The clients are installed by the tests, in fixed versions, under minikafka-integration in the user's cache folder. A
// language that the machine does not have is skipped, and is a failure where CI=true.
package clients
