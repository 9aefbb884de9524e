#include "controller/cli/decision_log.h"

#include <boost/json.hpp>
#include <cstdint>

#include "agents/http/http_client.h"

namespace walstitch::cli {

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

Answer<core::LogHead> WalkLog(const ControllerClient& controller,
                              const std::function<bool(std::string_view)>& visit,
                              const std::function<void(const core::LogHead&)>& begin) {
  constexpr std::uint64_t kPage = 1000;
  std::uint64_t seen = 0;
  bool asked_again = false;
  bool first = true;
  for (;;) {
    auto page = controller.Get("/v1/log?from=" + std::to_string(seen + 1) + "&max=" + std::to_string(kPage));
    if (!page) return tl::unexpected(page.error());
    const auto* entries = page->if_contains("entries");
    auto head = HeadOf(page->if_contains("head"));
    if (entries == nullptr || !entries->is_array())
      return tl::unexpected(NotUnderstood("no entries of the log"));
    if (!head) return tl::unexpected(NotUnderstood(head.error().Message()));
    if (first && page->contains("trimmed")) {
      const auto trimmed = HeadOf(page->if_contains("trimmed"));
      if (!trimmed) return tl::unexpected(NotUnderstood(trimmed.error().Message()));
      seen = trimmed->index;
      if (begin) begin(*trimmed);
    }
    first = false;
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

Answer<boost::json::value> FindRecord(const ControllerClient& controller, const std::string& id) {
  if (id == "latest") {
    auto answer = controller.Get("/v1/decisions?max=1");
    if (!answer) return tl::unexpected(answer.error());
    const auto* list = answer->if_contains("decisions");
    if (list == nullptr || !list->is_array()) return tl::unexpected(NotUnderstood("no list of decisions"));
    if (list->get_array().empty()) {
      return tl::unexpected(Refusal{ExitCode::kUsage, "there is no decision yet", std::nullopt});
    }
    return list->get_array().front();
  }
  auto answer = controller.Get("/v1/decisions/" + http::PercentEncode(id));
  if (!answer) return tl::unexpected(answer.error());
  const auto* record = answer->if_contains("record");
  if (record == nullptr) return tl::unexpected(NotUnderstood("no record"));
  return *record;
}

}  // namespace walstitch::cli
