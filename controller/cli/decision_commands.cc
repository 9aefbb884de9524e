#include "controller/cli/decision_commands.h"

#include <boost/json.hpp>
#include <charconv>
#include <vector>

#include "controller/cli/decision_log.h"
#include "controller/cli/render_decision.h"
#include "controller/cli/text.h"
#include "controller/core/log_chain.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

Answer<std::vector<DecisionRecord>> RecordsOf(const boost::json::object& answer) {
  const auto* list = answer.if_contains("decisions");
  if (list == nullptr || !list->is_array()) return tl::unexpected(NotUnderstood("no list of decisions"));
  std::vector<DecisionRecord> records;
  for (const auto& value : list->get_array()) {
    auto record = DecisionRecordFromJson(value);
    if (!record) return tl::unexpected(NotUnderstood(record.error().Message()));
    records.push_back(std::move(*record));
  }
  return records;
}

Result<core::LogHead> ParseExpected(const std::string& text) {
  core::LogHead head;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head.index);
  const std::size_t at = static_cast<std::size_t>(end - text.data());
  if (error == std::errc() && at < text.size() && text[at] == ':' && text.size() - at - 1 == 64) {
    head.hash = text.substr(at + 1);
    if (FromHex(head.hash)) return head;
  }
  return Fail(ErrorCode::kInvalid,
              "--expect '" + Clean(text) + "': expected INDEX:HASH, as verify prints it");
}

// Walks a chain, and past the head that was noted down earlier.
class Verification {
 public:
  explicit Verification(std::optional<core::LogHead> expected) : expected_(std::move(expected)) {
    if (expected_ && expected_->index == 0) Meet();
  }

  // Before the first Add: what is kept begins behind that entry.
  void Begin(const core::LogHead& trimmed) {
    trimmed_ = trimmed;
    verifier_ = core::ChainVerifier(trimmed);
    if (trimmed.index > 0) Meet();
  }

  Result<void> Add(std::string_view line) {
    if (auto added = verifier_.Add(line); !added) return added;
    Meet();
    return result_;
  }

  Result<void> Finish(const core::LogHead& stored) {
    if (auto finished = verifier_.Finish(stored); !finished) return finished;
    if (!result_) return result_;
    if (expected_ && expected_->index < trimmed_.index) {
      return Fail(ErrorCode::kInvalid, "the expected entry " + std::to_string(expected_->index) +
                                           " is not kept any more; expect one from " +
                                           std::to_string(trimmed_.index) + " on");
    }
    if (expected_ && !met_) {
      return Fail(ErrorCode::kDamaged, "decision log: ends at entry " +
                                           std::to_string(verifier_.Head().index) +
                                           ", before the expected entry " + std::to_string(expected_->index) +
                                           ": entries were taken away");
    }
    return {};
  }

  [[nodiscard]] const core::LogHead& Head() const { return verifier_.Head(); }
  [[nodiscard]] const core::LogHead& Trimmed() const { return trimmed_; }

 private:
  void Meet() {
    if (!expected_ || verifier_.Head().index != expected_->index) return;
    met_ = true;
    if (verifier_.Head() != *expected_) {
      result_ = Fail(ErrorCode::kDamaged, "decision log: entry " + std::to_string(expected_->index) +
                                              " is not the expected one: the log was rewritten up to there");
    }
  }

  std::optional<core::LogHead> expected_;
  core::LogHead trimmed_;
  core::ChainVerifier verifier_;
  bool met_ = false;
  Result<void> result_;
};

ExitCode Report(const Console& console, const Result<void>& result, const core::LogHead& head,
                const core::LogHead& trimmed) {
  if (console.json) {
    boost::json::object json;
    json["ok"] = result.has_value();
    json["entries"] = head.index;
    json["head"] = {{"index", head.index}, {"hash", head.hash}};
    if (trimmed.index > 0) json["trimmed"] = {{"index", trimmed.index}, {"hash", trimmed.hash}};
    if (!result) json["error"] = Clean(result.error().Message());
    console.PrintJson(json);
  }
  if (!result) return console.Complain(ExitCode::kNo, result.error().Message());
  if (!console.json) {
    const std::uint64_t kept = head.index - trimmed.index;
    console.Print("ok: " + Count(kept, "entry", "entries") +
                  (trimmed.index == 0
                       ? ""
                       : " (the first " + std::to_string(trimmed.index) + " are not kept any more)") +
                  ", each with the hash of the one before it; head " + std::to_string(head.index) + ":" +
                  head.hash + "\n");
  }
  return ExitCode::kDone;
}

}  // namespace

ExitCode ListDecisionsCommand(const Console& console, const ControllerClient& controller,
                              const DecisionListOptions& options) {
  std::string target = "/v1/decisions?max=" + std::to_string(options.max);
  if (!options.group.empty()) target += "&group=" + http::PercentEncode(options.group);
  if (!options.node.empty()) target += "&node=" + http::PercentEncode(options.node);
  auto answer = controller.Get(target);
  if (!answer) return Complain(console, answer.error());
  if (console.json) {
    console.PrintJson(*answer);
    return ExitCode::kDone;
  }
  auto records = RecordsOf(*answer);
  if (!records) return Complain(console, records.error());
  console.Print(RenderDecisionList(*records, console.palette));
  return ExitCode::kDone;
}

ExitCode ShowDecisionCommand(const Console& console, const ControllerClient& controller,
                             const std::string& id, std::size_t max_keys) {
  auto json = FindRecord(controller, id);
  if (!json) return Complain(console, json.error());
  if (console.json) {
    console.PrintJson(*json);
    return ExitCode::kDone;
  }
  auto record = DecisionRecordFromJson(*json);
  if (!record) return Complain(console, NotUnderstood(record.error().Message()));
  console.Print(RenderDecision(*record, {.max_keys = max_keys, .planned = false}));
  return ExitCode::kDone;
}

ExitCode VerifyLogCommand(const Console& console, const ControllerClient& controller,
                          const std::string& expected) {
  std::optional<core::LogHead> expected_head;
  if (!expected.empty()) {
    auto parsed = ParseExpected(expected);
    if (!parsed) return console.Complain(parsed.error());
    expected_head = *parsed;
  }
  Verification verification(expected_head);
  Result<void> result;
  const auto add = [&](std::string_view line) {
    result = verification.Add(line);
    return result.has_value();
  };
  auto head = WalkLog(controller, add, [&](const core::LogHead& trimmed) { verification.Begin(trimmed); });
  if (!head) return Complain(console, head.error());
  if (result) result = verification.Finish(*head);
  return Report(console, result, verification.Head(), verification.Trimmed());
}

ExitCode VerifyFileCommand(const Console& console, std::istream& file, const std::string& path,
                           const std::string& expected) {
  std::optional<core::LogHead> expected_head;
  if (!expected.empty()) {
    auto parsed = ParseExpected(expected);
    if (!parsed) return console.Complain(parsed.error());
    expected_head = *parsed;
  }
  Verification verification(expected_head);
  Result<void> result;
  std::optional<core::LogHead> head;
  std::string line;
  bool first = true;
  while (result && std::getline(file, line)) {
    const bool at_beginning = std::exchange(first, false);
    if (head) {
      result = Fail(ErrorCode::kDamaged, "there are lines behind the head");
    } else if (at_beginning && line.starts_with("{\"trimmed\":")) {
      auto json = ParseJson(line);
      auto parsed = json ? HeadOf(json->is_object() ? json->get_object().if_contains("trimmed") : nullptr)
                         : Result<core::LogHead>(Fail(json.error()));
      if (parsed) {
        verification.Begin(*parsed);
      } else {
        result = Fail(parsed.error(), "what is not kept");
      }
    } else if (line.starts_with("{\"head\":")) {
      auto json = ParseJson(line);
      auto parsed = json ? HeadOf(json->is_object() ? json->get_object().if_contains("head") : nullptr)
                         : Result<core::LogHead>(Fail(json.error()));
      if (parsed) {
        head = *parsed;
      } else {
        result = Fail(parsed.error(), "the head");
      }
    } else {
      result = verification.Add(line);
    }
  }
  if (file.bad()) return console.Complain(ExitCode::kUsage, path + ": cannot be read");
  if (result && !head) {
    result =
        Fail(ErrorCode::kDamaged, "there is no head behind entry " +
                                      std::to_string(verification.Head().index) + ": the export was cut off");
  }
  if (result) result = verification.Finish(*head);
  if (!result) result = Fail(result.error(), path);
  return Report(console, result, verification.Head(), verification.Trimmed());
}

ExitCode ExportLogCommand(const Console& console, const ControllerClient& controller, bool terminal) {
  const auto print = [&](std::string_view line) {
    console.out << (terminal ? Clean(line) : std::string(line)) << "\n";
    return true;
  };
  auto head = WalkLog(controller, print, [&](const core::LogHead& trimmed) {
    if (trimmed.index == 0) return;
    console.out << Dump({{"trimmed", {{"index", trimmed.index}, {"hash", trimmed.hash}}}}) << "\n";
  });
  if (!head) return Complain(console, head.error());
  boost::json::object json;
  json["head"] = {{"index", head->index}, {"hash", head->hash}};
  console.out << Dump(json) << "\n";
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
