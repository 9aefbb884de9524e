#include "controller/shell/salvage_replay.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kPage = 1000;

// Writes these keys, in as many parts as it takes.
asio::awaitable<Result<void>> ReplayKeys(const ReplayTask* task, std::vector<std::uint64_t> at,
                                         core::ReplaySummary* summary) {
  std::size_t done = 0;
  while (done < at.size()) {
    ReplayRequest request;
    request.epoch = task->order.epoch;
    request.group = task->group;
    request.node = task->order.master;
    request.source = task->order.source;
    request.source_url = task->source_url;
    request.salvage = task->order.salvage;
    request.dry_run = task->order.dry_run;
    request.overwrite = task->order.overwrite;
    request.deletions = task->order.deletions;
    const std::size_t end = std::min(done + kMaxReplayKeys, at.size());
    request.at.assign(at.begin() + static_cast<std::ptrdiff_t>(done),
                      at.begin() + static_cast<std::ptrdiff_t>(end));
    const std::size_t asked = request.at.size();
    auto answer = co_await task->master.Replay(std::move(request));
    if (!answer) co_return Fail(answer.error());
    if (answer->keys.empty() || answer->keys.size() > asked) {
      co_return Fail(ErrorCode::kDamaged, "the agent of " + task->order.master + " answered for other keys");
    }
    done += answer->keys.size();
    for (ReplayedKey& key : answer->keys) summary->Add(std::move(key));
  }
  co_return Result<void>();
}

}  // namespace

asio::awaitable<Result<core::ReplaySummary>> CarryOutReplay(ReplayTask task) {
  core::ReplaySummary summary;
  std::optional<std::uint64_t> after = 0;
  bool begun = false;
  while (after) {
    auto page = co_await task.source.SalvageKeys(task.order.salvage, *after, kPage);
    Result<void> done;
    if (!page) {
      done = Fail(page.error());
    } else {
      std::vector<std::uint64_t> at;
      for (const SalvagedKey& key : page->keys) {
        if (core::IsChosen(task.order.choice, task.policy, key)) at.push_back(key.at);
      }
      begun = begun || !at.empty();
      done = co_await ReplayKeys(&task, std::move(at), &summary);
      after = page->next;
    }
    if (done) continue;
    // A part that was never answered may have written some of its keys.
    if (!begun) co_return Fail(done.error());
    summary.ended_early = done.error().Message();
    break;
  }
  co_return summary;
}

}  // namespace walstitch::shell
