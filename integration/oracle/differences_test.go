package oracle_test

func differences() []difference {
	return nil
}
