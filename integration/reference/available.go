package reference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

// Version is the release of Apache Kafka that is run.
const Version = "4.4.0"

// CacheEnv names the environment variable that overrides where the release is kept: by default a folder in the user's
// cache directory.
const CacheEnv = "MINIKAFKA_REFERENCE_CACHE"

const (
	oldestJava   = 17
	log4jVersion = "2.24.3"
	fetchPlugin  = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
)

// ErrUnavailable is wrapped by what Available answers.
var ErrUnavailable = errors.New("reference: Apache Kafka cannot be run here")

// TB is the part of testing.TB that Require uses.
type TB interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// Require skips the test where Apache Kafka cannot be run, and fails it instead when CI=true.
func Require(tb TB) {
	tb.Helper()
	err := Available()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
}

// Available says in one line what is missing to run Apache Kafka here; nil means that nothing is, though the release may
// still have to be fetched.
func Available() error {
	if !canSignal {
		return fmt.Errorf("%w: processes cannot be paused on %s", ErrUnavailable, runtime.GOOS)
	}
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: no java on the PATH (version %d or later is needed)", ErrUnavailable, oldestJava)
	}
	if v := javaVersion(string(out)); v < oldestJava {
		return fmt.Errorf("%w: java is version %d, %d or later is needed", ErrUnavailable, v, oldestJava)
	}
	if dir, err := cacheDir(); err == nil && isDir(dir) {
		return nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("%w: no mvn on the PATH, which fetches Apache Kafka %s once", ErrUnavailable, Version)
	}
	return nil
}

// javaVersion reads the feature version out of what `java -version` prints; 0 when it cannot be read.
func javaVersion(out string) int {
	m := regexp.MustCompile(`version "(?:1\.)?(\d+)`).FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1]) // The expression matched digits only.
	return v
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// cacheDir is the folder of this version's jars. It is there only when it is complete.
func cacheDir() (string, error) {
	base := os.Getenv(CacheEnv)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("reference: no cache folder, set %s: %w", CacheEnv, err)
		}
		base = filepath.Join(user, "minikafka", "reference")
	}
	return filepath.Join(base, "apache-kafka-"+Version), nil
}

// Fetch makes sure that the release is in the cache folder and returns that folder. The first time it runs Maven, which
// takes seconds to minutes; several processes may do so at once.
func Fetch(ctx context.Context) (string, error) {
	dir, err := cacheDir()
	if err != nil || isDir(dir) {
		return dir, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("reference: cache folder: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return "", fmt.Errorf("reference: cache folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	pom := filepath.Join(tmp, "pom.xml")
	if err := os.WriteFile(pom, []byte(project()), 0o644); err != nil {
		return "", fmt.Errorf("reference: cache folder: %w", err)
	}
	jars := filepath.Join(tmp, "jars")
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, fetchPlugin, "-DoutputDirectory="+jars, "-DincludeScope=runtime")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("reference: fetching Apache Kafka %s: %w\n%s", Version, err, out)
	}
	// Whoever renames first has fetched; a folder that is there already is as good.
	if err := os.Rename(jars, dir); err != nil && !isDir(dir) {
		return "", fmt.Errorf("reference: cache folder: %w", err)
	}
	return dir, nil
}

// project is the Maven project whose dependencies are the release and a logger for it.
func project() string {
	const head = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>` +
		`<groupId>minikafka</groupId><artifactId>reference</artifactId><version>1</version><dependencies>`
	deps := ""
	for _, d := range [][3]string{
		{"org.apache.kafka", "kafka_2.13", Version},
		{"org.apache.logging.log4j", "log4j-slf4j-impl", log4jVersion},
		{"org.apache.logging.log4j", "log4j-core", log4jVersion},
	} {
		deps += fmt.Sprintf("<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>", d[0], d[1], d[2])
	}
	return head + deps + "</dependencies></project>\n"
}
