#include "controller/cli/decision_commands.h"

#include <boost/json.hpp>
#include <charconv>
#include <functional>
#include <vector>

#include "controller/cli/render_decision.h"
#include "controller/cli/text.h"
#include "controller/core/log_chain.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

Refusal NotUnderstood(const std::string& what) {
  return {ExitCode::kUnreachable, "the controller's answer is not understood (another version?): " + what,
          std::nullopt};
}

ExitCode Complain(const Console& console, const Refusal& refusal) {
  return console.Complain(refusal.code, refusal.sentence);
}

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

Result<core::LogHead> HeadOf(const boost::json::value* value) {
  const auto* object = value == nullptr ? nullptr : value->if_object();
  const auto* index = object == nullptr ? nullptr : object->if_contains("index");
  const auto* hash = object == nullptr ? nullptr : object->if_contains("hash");
  if (index == nullptr || !index->is_number() || hash == nullptr || !hash->is_string()) {
    return Fail(ErrorCode::kDamaged, "no head of the log, or not an index and a hash");
  }
  boost::system::error_code bad_number;
  core::LogHead head;
  head.index = index->to_number<std::uint64_t>(bad_number);
  head.hash = std::string_view(hash->get_string());
  if (bad_number) return Fail(ErrorCode::kDamaged, "the head's index is no whole number");
  return head;
}

// Calls `visit` with every line of the log, oldest first, and gives the head. `visit` returns false to
// stop: the head is then of no use.
Answer<core::LogHead> WalkLog(const ControllerClient& controller,
                              const std::function<bool(std::string_view)>& visit) {
  constexpr std::uint64_t kPage = 1000;
  std::uint64_t seen = 0;
  bool asked_again = false;
  for (;;) {
    auto page = controller.Get("/v1/log?from=" + std::to_string(seen + 1) + "&max=" + std::to_string(kPage));
    if (!page) return tl::unexpected(page.error());
    const auto* entries = page->if_contains("entries");
    auto head = HeadOf(page->if_contains("head"));
    if (entries == nullptr || !entries->is_array())
      return tl::unexpected(NotUnderstood("no entries of the log"));
    if (!head) return tl::unexpected(NotUnderstood(head.error().Message()));
    for (const auto& entry : entries->get_array()) {
      if (!entry.is_string()) return tl::unexpected(NotUnderstood("an entry that is no line of text"));
      ++seen;
      if (!visit(entry.get_string())) return *head;
    }
    if (head->index == seen) return *head;
    // The log grows while it is read: entries and head of one page need not be of one moment. Only when
    // two empty pages in a row leave head and entries apart is it not for that.
    if (!entries->get_array().empty()) {
      asked_again = false;
    } else if (asked_again) {
      return *head;
    } else {
      asked_again = true;
    }
  }
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

  Result<void> Add(std::string_view line) {
    if (auto added = verifier_.Add(line); !added) return added;
    Meet();
    return result_;
  }

  Result<void> Finish(const core::LogHead& stored) {
    if (auto finished = verifier_.Finish(stored); !finished) return finished;
    if (expected_ && !met_) {
      return Fail(ErrorCode::kDamaged, "decision log: ends at entry " +
                                           std::to_string(verifier_.Head().index) +
                                           ", before the expected entry " + std::to_string(expected_->index) +
                                           ": entries were taken away");
    }
    return {};
  }

  [[nodiscard]] const core::LogHead& Head() const { return verifier_.Head(); }

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
  core::ChainVerifier verifier_;
  bool met_ = false;
  Result<void> result_;
};

ExitCode Report(const Console& console, const Result<void>& result, const core::LogHead& head) {
  if (console.json) {
    boost::json::object json;
    json["ok"] = result.has_value();
    json["entries"] = head.index;
    json["head"] = {{"index", head.index}, {"hash", head.hash}};
    if (!result) json["error"] = Clean(result.error().Message());
    console.PrintJson(json);
  }
  if (!result) return console.Complain(ExitCode::kNo, result.error().Message());
  if (!console.json) {
    console.Print("ok: " + Count(head.index, "entry", "entries") +
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
  console.Print(RenderDecisionList(*records));
  return ExitCode::kDone;
}

ExitCode ShowDecisionCommand(const Console& console, const ControllerClient& controller,
                             const std::string& id, std::size_t max_keys) {
  boost::json::value json;
  if (id == "latest") {
    auto answer = controller.Get("/v1/decisions?max=1");
    if (!answer) return Complain(console, answer.error());
    const auto* list = answer->if_contains("decisions");
    if (list == nullptr || !list->is_array()) return Complain(console, NotUnderstood("no list of decisions"));
    if (list->get_array().empty()) return console.Complain(ExitCode::kUsage, "there is no decision yet");
    json = list->get_array().front();
  } else {
    auto answer = controller.Get("/v1/decisions/" + http::PercentEncode(id));
    if (!answer) return Complain(console, answer.error());
    const auto* record = answer->if_contains("record");
    if (record == nullptr) return Complain(console, NotUnderstood("no record"));
    json = *record;
  }
  if (console.json) {
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  auto record = DecisionRecordFromJson(json);
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
  auto head = WalkLog(controller, [&](std::string_view line) {
    result = verification.Add(line);
    return result.has_value();
  });
  if (!head) return Complain(console, head.error());
  if (result) result = verification.Finish(*head);
  return Report(console, result, verification.Head());
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
  while (result && std::getline(file, line)) {
    if (head) {
      result = Fail(ErrorCode::kDamaged, "there are lines behind the head");
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
  return Report(console, result, verification.Head());
}

ExitCode ExportLogCommand(const Console& console, const ControllerClient& controller) {
  auto head = WalkLog(controller, [&](std::string_view line) {
    console.out << line << "\n";
    return true;
  });
  if (!head) return Complain(console, head.error());
  boost::json::object json;
  json["head"] = {{"index", head->index}, {"hash", head->hash}};
  console.out << Dump(json) << "\n";
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
