package configs_test

import (
	"testing"

	"github.com/minikafka/minikafka/server/configs"
)

// FuzzParse has every config take a value: what is accepted is accepted again in
// the form it was given, and stays as it is.
func FuzzParse(f *testing.F) {
	for _, v := range []string{
		"", " 5 ", "-1", "TRUE", "a,b,,a", " , ", "0.5f", "Infinity", "NaN", "1e400", "*", "0:1,1:2",
		"by_duration:P1DT2H", "gzip", "compact , delete", "99999999999999999999", "0x10", "\u0085x\u00a0",
	} {
		f.Add(v)
	}
	scopes := []configs.Scope{configs.Topic, configs.Broker, configs.Group, configs.ClientMetrics}
	f.Fuzz(func(t *testing.T, value string) {
		for _, s := range scopes {
			for _, c := range configs.All(s) {
				parsed, err := c.Parse(value)
				if err != nil {
					continue
				}
				if again, err := c.Parse(parsed); err != nil || again != parsed {
					t.Fatalf("%s: %q became %q, then %q, %v", c.Name, value, parsed, again, err)
				}
			}
		}
	})
}
