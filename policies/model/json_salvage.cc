// Salvages, and what is asked of them.
#include <array>

#include "policies/model/json.h"
#include "policies/model/json_codec.h"
#include "policies/model/json_fields.h"
#include "policies/model/salvage.h"

namespace walstitch {

boost::json::value ToJson(const SalvageManifest& value) { return codec::Write(value); }
boost::json::value ToJson(const SalvageList& value) { return codec::Write(value); }
boost::json::value ToJson(const SalvagedKeys& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayRequest& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayedKey& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayAnswer& value) { return codec::Write(value); }

Result<SalvageManifest> SalvageManifestFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvageManifest>(json, "manifest");
}
Result<SalvageList> SalvageListFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvageList>(json, "salvages");
}
Result<SalvagedKeys> SalvagedKeysFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvagedKeys>(json, "keys");
}
Result<ReplayRequest> ReplayRequestFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayRequest>(json, "replay");
}
Result<ReplayedKey> ReplayedKeyFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayedKey>(json, "key");
}
Result<ReplayAnswer> ReplayAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayAnswer>(json, "answer");
}

}  // namespace walstitch
