package election

// FeatureRange is the levels of a feature that this version supports.
type FeatureRange struct{ Min, Max int16 }

// SupportedFeatures are the supported ranges of Apache Kafka 4.4.0, by Kafka's
// names. The map is the caller's.
func SupportedFeatures() map[string]FeatureRange {
	return map[string]FeatureRange{
		"group.version":                    {0, 1},
		"kraft.version":                    {0, 1},
		"metadata.version":                 {7, 33},
		"share.version":                    {0, 2},
		"streams.version":                  {0, 1},
		"transaction.version":              {0, 2},
		"eligible.leader.replicas.version": {0, 1},
	}
}

// DefaultFeatures are the finalized levels of a newly formatted Apache Kafka
// 4.4.0 cluster. The map is the caller's.
func DefaultFeatures() map[string]int16 {
	return map[string]int16{
		"group.version":                    1,
		"kraft.version":                    1,
		"metadata.version":                 33,
		"share.version":                    2,
		"streams.version":                  1,
		"transaction.version":              2,
		"eligible.leader.replicas.version": 1,
	}
}
