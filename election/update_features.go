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
		if why := refused(e.Features[u.Name], u); why != "" {
			return nil, fail(ErrInvalidUpdateVersion, "The update failed for all features since the following feature had an error: "+
				"Invalid update version %d for feature %s. %s", u.Level, u.Name, why)
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

// refused says why a feature may not go from its level to the update's, or "".
func refused(now int16, u FeatureUpdate) string {
	supported, known := SupportedFeatures()[u.Name]
	switch {
	case u.UpgradeType < upgradeOnly || u.UpgradeType > unsafeDowngrade:
		return "The controller does not support the given upgrade type."
	case u.Level < 0:
		return "A feature version cannot be less than 0."
	case !known:
		return "Local controller does not support this feature."
	case u.Level < supported.Min || u.Level > supported.Max:
		return fmt.Sprintf("Local controller only supports versions %d-%d", supported.Min, supported.Max)
	case u.Level < now:
		return refusedDowngrade(u)
	case u.Level > now && u.UpgradeType >= safeDowngrade:
		return "Can't downgrade to a newer version."
	}
	return ""
}

func refusedDowngrade(u FeatureUpdate) string {
	switch {
	case u.UpgradeType == upgradeOnly:
		return "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
	case u.Name == metadataFeature:
		return "Refusing to perform the requested downgrade because it might delete metadata information."
	case u.Name == raftFeature:
		return "Can't downgrade the version of this feature."
	}
	return ""
}
