package clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/minikafka/minikafka/internal/scenario"
)

const (
	oldestJava   = 17
	kafkaClients = "4.4.0"
	// The oldest that Kafka 4 serves (KIP-896).
	oldKafkaClients = "2.1.0"
	slf4j           = "1.7.36"
	copyJars        = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
)

func TestJava(t *testing.T) {
	t.Parallel()
	need(t, "java", "javac", "mvn")
	out := output(t, "javac", "-version")
	var version int
	if _, err := fmt.Sscanf(out, "javac %d", &version); err != nil || version < oldestJava {
		unavailable(t, fmt.Sprintf("javac says it is %q; version %d or later is needed", out, oldestJava))
	}
	t.Run(kafkaClients, func(t *testing.T) {
		t.Parallel()
		client, administrator := java(t, kafkaClients, "Client"), java(t, kafkaClients, "Administrator")
		t.Run("exactly once", func(t *testing.T) { exactlyOnce(t, client) })
		t.Run("lost with acks=1", func(t *testing.T) { lost(t, client) })
		t.Run("admin", func(t *testing.T) { admin(t, administrator) })
		member, copier := java(t, kafkaClients, "Member"), java(t, kafkaClients, "Copier")
		t.Run("classic group", func(t *testing.T) { classicGroup(t, member) })
		t.Run("groups", func(t *testing.T) { consumerGroups(t, member) })
		t.Run("transactions", func(t *testing.T) { transactions(t, copier, scenario.CopyOptions{}) })
		t.Run("share groups", func(t *testing.T) { shareGroups(t, java(t, kafkaClients, "Sharer")) })
	})
	t.Run(oldKafkaClients, func(t *testing.T) {
		t.Parallel()
		client, copier := java(t, oldKafkaClients, "Client"), java(t, oldKafkaClients, "Copier")
		t.Run("exactly once", func(t *testing.T) { exactlyOnce(t, client) })
		t.Run("transactions", func(t *testing.T) { transactions(t, copier, scenario.CopyOptions{}) })
	})
}

// java is org.apache.kafka:kafka-clients, and one of the programs.
func java(t *testing.T, version, program string) client {
	t.Helper()
	jars := installed(t, "kafka-clients-"+version, func(dir string) {
		pom := filepath.Join(t.TempDir(), "pom.xml")
		write(t, pom, project(version))
		output(t, "mvn", "-q", "-B", "-f", pom, copyJars, "-DoutputDirectory="+dir, "-DincludeScope=runtime")
	})
	classes := t.TempDir()
	path := filepath.Join(jars, "*")
	output(t, "javac", "-d", classes, "-cp", path, "-sourcepath", "programs", filepath.Join("programs", program+".java"))
	return client{
		// Short programs: starting fast is worth more than running fast.
		command: []string{
			"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m",
			"-cp", classes + string(os.PathListSeparator) + path, program,
		},
		consumes: true,
	}
}

// project is a Maven project whose dependencies are the client and a logger to standard error.
func project(version string) string {
	const dependency = "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>"
	return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>` +
		"<groupId>minikafka</groupId><artifactId>clients</artifactId><version>1</version><dependencies>" +
		fmt.Sprintf(dependency, "org.apache.kafka", "kafka-clients", version) +
		fmt.Sprintf(dependency, "org.slf4j", "slf4j-simple", slf4j) +
		"</dependencies></project>\n"
}
