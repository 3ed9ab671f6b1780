package election

import (
	"fmt"
	"maps"
)

// metadataFeature and raftFeature have rules of their own.
const (
	metadataFeature = "metadata.version"
	raftFeature     = "kraft.version"
)

// The upgrade types of UpdateFeatures.
const (
	upgradeOnly   = 1
	safeDowngrade = 2
	// unsafeDowngrade is accepted where a safe one is.
	unsafeDowngrade = 3
)

// apply changes finalized levels, all of them or none
// (FeatureControlManager.updateFeatures).
func (c *UpdateFeatures) apply(e *edit) (any, error) {
	next := cloned(e.Features)
	results := map[string]error{}
	for _, u := range c.Updates {
		if err := validUpdate(e.Features[u.Name], u); err != nil {
			return nil, fail(ErrInvalidUpdateVersion, "The update failed for all features since the following feature had an error: %s", err)
		}
		results[u.Name] = nil
		if u.Level == 0 {
			delete(next, u.Name)
		} else {
			next[u.Name] = u.Level
		}
	}
	if c.ValidateOnly || maps.Equal(next, e.Features) {
		return results, nil
	}
	wasOn := e.elrOn()
	e.Features, e.FeaturesEpoch, e.changed = next, int64(e.Index), true
	if e.elrOn() && !wasOn {
		e.makeSafeForELR()
	}
	return results, nil
}

// validUpdate checks one update.
func validUpdate(now int16, u FeatureUpdate) error {
	supported, known := SupportedFeatures()[u.Name]
	why := ""
	switch {
	case u.UpgradeType < upgradeOnly || u.UpgradeType > unsafeDowngrade:
		why = "The controller does not support the given upgrade type."
	case u.Level < 0:
		why = "A feature version cannot be less than 0."
	case !known:
		why = "Local controller does not support this feature."
	case u.Level < supported.Min || u.Level > supported.Max:
		why = fmt.Sprintf("Local controller only supports versions %d-%d", supported.Min, supported.Max)
	case u.Level < now && u.UpgradeType == upgradeOnly:
		why = "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case u.Level > now && u.UpgradeType >= safeDowngrade:
		why = "Can't downgrade to a newer version."
	case u.Level < now && u.Name == metadataFeature:
		why = "Refusing to perform the requested downgrade because it might delete metadata information."
	case u.Level < now && u.Name == raftFeature:
		why = "Can't downgrade the version of this feature."
	default:
		return nil
	}
	return fmt.Errorf("Invalid update version %d for feature %s. %s", u.Level, u.Name, why) //nolint:staticcheck // Kafka's words, for the client.
}
