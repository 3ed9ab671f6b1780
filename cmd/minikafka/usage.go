package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says what is wrong with a flag, and where to read about it.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		// What begins with a dash is taken for flags, a negative number too.
		if s := unknown.GetSpecifiedShortnames(); s != "" && (s[0] == '.' || '0' <= s[0] && s[0] <= '9') {
			return fmt.Errorf("-%s: %s takes nothing negative", s, cmd.Name())
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		cause := errors.Unwrap(invalid)
		var number *strconv.NumError
		if errors.As(cause, &number) {
			cause = errors.New("it takes a number")
			if errors.Is(number, strconv.ErrRange) {
				cause = errors.New("the number is too large or too small")
			}
		}
		return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), cause)
	}
	return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
}

// noDefaults keeps the help from telling the default of flags that have none.
func noDefaults(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		flags.Lookup(name).DefValue = ""
	}
}
