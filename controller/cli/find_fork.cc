#include "controller/cli/find_fork.h"

#include <openssl/rand.h>

#include <boost/json.hpp>
#include <vector>

#include "agents/wal/range_digest.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

using core::ForkSearch;

template <typename T>
struct Both {
  T rejoiner;
  T survivor;
};

std::size_t SizeOf(const std::vector<BatchInfo>& batches) {
  boost::json::array list;
  for (const auto& batch : batches) list.push_back(ToJson(batch));
  return Dump(boost::json::value{{"batches", std::move(list)}, {"more", false}}).size();
}
std::size_t SizeOf(const std::string& bytes) { return Dump(ToJson(RangeBytes{bytes})).size(); }
template <typename T>
std::size_t SizeOf(const T& answer) {
  return Dump(ToJson(answer)).size();
}

// A file's errors begin with its path, which often begins with the name.
tl::unexpected<Error> FailOf(const ForkSide& side, const Error& error) {
  return error.Message().starts_with(side.name) ? Fail(error) : Fail(error, side.name);
}

template <typename Ask>
auto AskBoth(const ForkSide& rejoiner, const ForkSide& survivor, FoundFork* found, const Ask& ask)
    -> Result<Both<typename decltype(ask(rejoiner.source))::value_type>> {
  auto first = ask(rejoiner.source);
  if (!first) return FailOf(rejoiner, first.error());
  auto second = ask(survivor.source);
  if (!second) return FailOf(survivor, second.error());
  found->answer_bytes += SizeOf(*first) + SizeOf(*second);
  return Both<typename decltype(first)::value_type>{std::move(*first), std::move(*second)};
}

}  // namespace

Result<FoundFork> FindFork(const ForkSide& rejoiner, const ForkSide& survivor,
                           const core::KnownHistory& known) {
  ForkSearch search(rejoiner.extent, survivor.extent, known);
  FoundFork found;
  while (auto question = search.Next()) {
    const SequenceRange range = question->range;
    switch (question->ask) {
      case ForkSearch::Ask::kBatches: {
        auto both = AskBoth(rejoiner, survivor, &found, [&](wal::WalSource& source) {
          return wal::ListBatches(source, range, ForkSearch::kMaxBatches);
        });
        if (!both) return Fail(both.error());
        search.FeedBatches(both->rejoiner, both->survivor);
        break;
      }
      case ForkSearch::Ask::kDigests: {
        DigestKey key;
        WALSTITCH_CHECK(RAND_bytes(key.bytes.data(), static_cast<int>(key.bytes.size())) == 1);
        auto both = AskBoth(rejoiner, survivor, &found, [&](wal::WalSource& source) -> Result<RangeDigests> {
          auto max_bytes = wal::MaxBytesFor(source);
          if (!max_bytes) return Fail(max_bytes.error());
          return wal::DigestRange(source, range, question->parts, key, *max_bytes);
        });
        if (!both) return Fail(both.error());
        search.FeedDigests(both->rejoiner, both->survivor);
        break;
      }
      case ForkSearch::Ask::kMarked: {
        auto both = AskBoth(rejoiner, survivor, &found, [&](wal::WalSource& source) -> Result<MarkedBatches> {
          auto max_bytes = wal::MaxBytesFor(source);
          if (!max_bytes) return Fail(max_bytes.error());
          return wal::ListMarked(source, range, ForkSearch::kMaxMarked, *max_bytes);
        });
        if (!both) return Fail(both.error());
        search.FeedMarked(both->rejoiner, both->survivor);
        break;
      }
      case ForkSearch::Ask::kBytes: {
        auto both = AskBoth(rejoiner, survivor, &found, [&](wal::WalSource& source) {
          return wal::BatchBytes(source, range, ForkSearch::kMaxBytes);
        });
        if (!both) return Fail(both.error());
        search.FeedBytes(both->rejoiner, both->survivor);
        break;
      }
    }
  }
  found.answer = search.Result();
  found.rounds = search.Rounds();
  return found;
}

}  // namespace walstitch::cli
