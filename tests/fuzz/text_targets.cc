// What is read as text: configurations and policies, JSON of agents and controllers, targets and addresses of
// HTTP, the server's INFO, salvages, objects of Kubernetes.
#include <array>
#include <boost/json.hpp>
#include <string>

#include "agents/agent/config.h"
#include "agents/agent/salvage_format.h"
#include "agents/http/http_client.h"
#include "agents/http/http_text.h"
#include "agents/http/rest_client.h"
#include "agents/node/info.h"
#include "controller/kubernetes/api_error.h"
#include "controller/kubernetes/resource.h"
#include "controller/shell/config.h"
#include "controller/shell/stored_line.h"
#include "policies/loader.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/quantity.h"
#include "tests/fuzz/targets.h"

namespace walstitch::wal {
namespace {

// One sentence, that names the file.
void CheckFileError(const Error& error) {
  WALSTITCH_CHECK(error.Message().starts_with("fuzz.yaml"));
  WALSTITCH_CHECK(error.Message().find('\n') == std::string::npos);
}

// Whatever is read from JSON is written as JSON that is read as the same.
template <typename Read>
void CheckReading(const boost::json::value& json, Read read) {
  const auto value = read(json);
  if (!value) {
    WALSTITCH_CHECK(!value.error().Message().empty());
    return;
  }
  const boost::json::value written = ToJson(*value);
  const auto again = read(written);
  WALSTITCH_CHECK(again.has_value());
  WALSTITCH_CHECK(Dump(ToJson(*again)) == Dump(written));
}

}  // namespace

void FuzzPolicy(std::string_view bytes) {
  const Result<TolerancePolicy> policy = ParsePolicy({{"fuzz.yaml", std::string(bytes)}});
  if (!policy) CheckFileError(policy.error());
}

void FuzzConfig(std::string_view bytes) {
  // It would read files that the bytes name.
  if (bytes.find("File") != std::string_view::npos) return;
  const auto agent = agent::ParseConfig("fuzz.yaml", bytes);
  if (!agent) CheckFileError(agent.error());
  const auto controller = shell::ParseControllerConfig("fuzz.yaml", bytes);
  // What the command line should have said is said without the file.
  if (!controller && !controller.error().Message().starts_with("--")) CheckFileError(controller.error());
}

void FuzzJson(std::string_view bytes) {
  const Result<boost::json::value> json = ParseJson(bytes);
  if (!json) {
    WALSTITCH_CHECK(json.error().Message().find('\n') == std::string::npos);
    return;
  }
  CheckReading(*json, EndpointFromJson);
  CheckReading(*json, ReportFromJson);
  CheckReading(*json, CommandFromJson);
  CheckReading(*json, CommandResultFromJson);
  CheckReading(*json, TouchedFromJson);
  CheckReading(*json, EvidenceFromJson);
  CheckReading(*json, DecisionFromJson);
  CheckReading(*json, DecisionRecordFromJson);
  CheckReading(*json, LeaseGrantFromJson);
  CheckReading(*json, PromiseRequestFromJson);
  CheckReading(*json, PromiseAnswerFromJson);
  CheckReading(*json, UndoEvidenceFromJson);
  CheckReading(*json, SalvageManifestFromJson);
  CheckReading(*json, ReplayRequestFromJson);
  CheckReading(*json, ReplayAnswerFromJson);
  (void)TailBatchesFromJson(*json);
  (void)RangeDigestsFromJson(*json);
  (void)MarkedBatchesFromJson(*json);
  (void)ValuesAnswerFromJson(*json);
  (void)RepairableAnswerFromJson(*json);
  (void)WrittenAnswerFromJson(*json);
}

void FuzzText(std::string_view bytes) {
  if (const auto target = http::ParseTarget(bytes)) {
    WALSTITCH_CHECK(target->path.find('\0') == std::string::npos);
    for (const auto& [name, value] : target->query) WALSTITCH_CHECK(value.find('\0') == std::string::npos);
  }
  for (const bool plus : {false, true}) {
    const auto decoded = http::PercentDecode(bytes, plus);
    WALSTITCH_CHECK(!decoded || decoded->size() <= bytes.size());
  }
  (void)http::BearerToken(bytes);
  if (const auto url = http::ParseUrl(bytes)) WALSTITCH_CHECK(!url->host.empty() && !url->port.empty());
  if (const auto origin = http::ParseOrigin(bytes)) {
    WALSTITCH_CHECK(!origin->host.empty() && !origin->port.empty());
  }
  (void)kubernetes::ParseRetryAfter(bytes);
  // The printable forms of bytes: every one is read back, and no other text is taken for one.
  WALSTITCH_CHECK(FromPrintable(ToPrintable(bytes)) == bytes);
  WALSTITCH_CHECK(FromHex(ToHex(bytes)) == bytes);
  WALSTITCH_CHECK(FromBase64(ToBase64(bytes)) == bytes);
  if (const auto raw = FromBase64(bytes)) WALSTITCH_CHECK(ToBase64(*raw) == bytes);
  if (const auto raw = FromHex(bytes)) WALSTITCH_CHECK(raw->size() * 2 == bytes.size());
  (void)FromPrintable(bytes);
  if (const auto ms = MillisecondsFromText(bytes))
    WALSTITCH_CHECK(MillisecondsFromText(DurationText(*ms)) == ms);
  if (const auto size = ByteCountFromText(bytes))
    WALSTITCH_CHECK(ByteCountFromText(ByteCountText(*size)) == size);
  if (const auto part = PermilleFromText(bytes))
    WALSTITCH_CHECK(PermilleFromText(PercentText(*part)) == part);
}

void FuzzNodeInfo(std::string_view bytes) {
  (void)node::ReadFacts(node::ParseInfo(bytes));
  (void)node::ParseNumber(bytes);
}

void FuzzSalvage(std::string_view bytes) {
  if (const auto value = agent::ParseValueLine(bytes)) {
    std::string line = agent::ValueLine(*value);
    WALSTITCH_CHECK(line.ends_with('\n'));
    line.pop_back();
    WALSTITCH_CHECK(agent::ParseValueLine(line).has_value());
  }
  if (const auto manifest = agent::ParseManifest(bytes)) {
    WALSTITCH_CHECK(agent::ParseManifest(agent::ManifestText(*manifest)).has_value());
  }
  if (const auto line = shell::UnpackLine(bytes)) {
    WALSTITCH_CHECK(shell::UnpackLine(shell::PackLine(*line)) == *line);
  }
}

void FuzzKubernetesObject(std::string_view bytes) {
  const auto object = kubernetes::ParseObject(bytes);
  if (!object) {
    WALSTITCH_CHECK(object.error().Message().find('\n') == std::string::npos);
    return;
  }
  (void)kubernetes::UidOf(*object);
  (void)kubernetes::ResourceVersionOf(*object);
  (void)kubernetes::LabelsOf(*object);
  (void)kubernetes::AnnotationsOf(*object);
}

}  // namespace walstitch::wal
