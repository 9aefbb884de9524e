// WALs in memory for the tests of the fork search, and the search driven over two of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/fork.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::core {

// A node's WAL, written batch by batch. Batches of the same content at the same place are equal.
class Wal {
 public:
  struct Batch {
    Sequence first;
    std::uint32_t count = 0;
    std::uint32_t content = 0;  // the marker's is in it, too
    bool operator==(const Batch&) const = default;
    [[nodiscard]] Sequence End() const { return first + count; }
  };

  Wal() = default;
  // The history so far, shared.
  explicit Wal(const Wal& common, std::size_t batches)
      : batches_(common.batches_.begin(), common.batches_.begin() + static_cast<std::ptrdiff_t>(batches)),
        next_(batches_.empty() ? 1 : batches_.back().End().Value()) {}

  Wal& Add(std::uint32_t count, std::uint8_t content, const std::string& marker = "") {
    batches_.push_back({Sequence(next_), count, content + (marker.empty() ? 0U : kMarked)});
    next_ += count;
    return *this;
  }
  Wal& Add(int batches, std::uint32_t count, std::uint8_t content) {
    for (int i = 0; i < batches; ++i) Add(count, content);
    return *this;
  }
  // What the other wrote from this WAL's end on: this node follows it.
  Wal& Follow(const Wal& other) {
    const Sequence next(next_);
    for (const auto& batch : other.batches_) {
      if (batch.first >= next) batches_.push_back(batch);
    }
    next_ = std::max(next_, other.next_);
    return *this;
  }
  Wal& Purge(std::size_t batches) {
    purged_ = std::min(batches, batches_.size());
    return *this;
  }

  [[nodiscard]] std::uint64_t Last() const { return next_ - 1; }
  [[nodiscard]] std::size_t Size() const { return batches_.size(); }
  [[nodiscard]] const Batch& At(std::size_t i) const { return batches_[i]; }
  [[nodiscard]] WalExtent Extent() const {
    WalExtent extent;
    extent.last = Sequence(Last());
    if (purged_ < batches_.size()) extent.oldest = batches_[purged_].first;
    return extent;
  }

  // What a node answers.
  [[nodiscard]] std::vector<BatchInfo> List(SequenceRange range, std::size_t max) const {
    std::vector<BatchInfo> list;
    ForEach(range, [&](const Batch& batch) {
      if (list.size() == max) return false;
      list.push_back(InfoOf(batch));
      return true;
    });
    return list;
  }
  // After max_batches no further part is begun.
  [[nodiscard]] RangeDigests Digests(SequenceRange range, std::uint32_t parts,
                                     std::size_t max_batches) const {
    RangeDigests answer;
    std::size_t batches = 0;
    for (std::uint32_t i = 0; i < parts && (i == 0 || batches < max_batches); ++i) {
      const SequenceRange within = PartOf(range, parts, i);
      PartDigest part;
      std::uint64_t state[2] = {1, 2};
      ForEach(within, [&](const Batch& batch) {
        if (batch.first < within.from) return true;
        if (part.batches++ == 0) part.first = batch.first;
        part.end = batch.End();
        for (auto& word : state) {
          for (const std::uint64_t value :
               {batch.first.Value(), std::uint64_t{batch.count}, std::uint64_t{batch.content}}) {
            word = (word ^ value) * 0x9e3779b97f4a7c15ULL;
            word ^= word >> 29;
          }
        }
        return true;
      });
      if (part.batches > 0) {
        for (std::size_t k = 0; k < 16; ++k) {
          part.digest[k] = static_cast<std::uint8_t>(state[k / 8] >> (8 * (k % 8)));
        }
      }
      batches += part.batches;
      answer.parts.push_back(part);
    }
    return answer;
  }
  [[nodiscard]] MarkedBatches Marked(SequenceRange range, std::size_t max) const {
    MarkedBatches answer;
    answer.looked_to = range.from;
    ForEach(range, [&](const Batch& batch) {
      if (batch.content >= kMarked) answer.batches.push_back(InfoOf(batch));
      answer.looked_to = std::min(batch.End(), range.to);
      return answer.batches.size() < max;
    });
    return answer;
  }
  [[nodiscard]] std::string Bytes(SequenceRange range, std::size_t max) const {
    std::string bytes;
    ForEach(range, [&](const Batch& batch) {
      bytes += BytesOf(batch).substr(0, max - bytes.size());
      return bytes.size() < max;
    });
    return bytes;
  }

 private:
  static constexpr std::uint32_t kMarked = 1000;

  static std::string BytesOf(const Batch& batch) {
    std::string bytes;
    for (unsigned i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(batch.first.Value() >> (8 * i)));
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(batch.count >> (8 * i)));
    // The content comes last: what is cut off may be where two batches differ.
    bytes += std::string(20UL * batch.count, '.');
    return bytes + std::to_string(batch.content);
  }
  static BatchInfo InfoOf(const Batch& batch) {
    const std::string bytes = BytesOf(batch);
    BatchInfo info;
    info.first = batch.first;
    info.count = batch.count;
    info.bytes = bytes.size();
    const auto hash = Sha256(bytes);
    std::copy_n(hash.begin(), info.digest.bytes.size(), info.digest.bytes.begin());
    if (batch.content >= kMarked) info.marker = "01J0";
    return info;
  }
  template <typename Visit>
  void ForEach(SequenceRange range, const Visit& visit) const {
    auto batch = std::partition_point(batches_.begin() + static_cast<std::ptrdiff_t>(purged_), batches_.end(),
                                      [&](const Batch& one) { return one.End() <= range.from; });
    for (; batch != batches_.end() && batch->first < range.to; ++batch) {
      if (batch->count > 0 && !visit(*batch)) return;
    }
  }

  std::vector<Batch> batches_;
  std::uint64_t next_ = 1;
  std::size_t purged_ = 0;
};

// Both sides' answers to one question; the kind that was asked for is set. The rejoiner's is the first.
struct Answers {
  std::vector<BatchInfo> batches[2];
  RangeDigests digests[2];
  MarkedBatches marked[2];
  std::string bytes[2];
};

struct Found {
  ForkSearch::Answer answer;
  int rounds = 0;
  std::size_t bytes = 0;  // of all answers, as JSON
  std::vector<ForkSearch::Ask> asked;
};

struct SearchOptions {
  std::size_t max_batches = ForkSearch::kMaxBatches;
  std::size_t max_digested = std::numeric_limits<std::size_t>::max();  // batches, in one answer
  std::size_t max_marked = ForkSearch::kMaxMarked;
  int max_rounds = 1000;
  std::function<void(const ForkSearch::Question&, Answers*)> spoil;
};

inline Found Search(const Wal& rejoiner, const Wal& survivor, const KnownHistory& known,
                    const SearchOptions& options = {}) {
  using Ask = ForkSearch::Ask;
  ForkSearch search(rejoiner.Extent(), survivor.Extent(), known);
  Found found;
  while (auto next = search.Next()) {
    if (++found.rounds > options.max_rounds) {
      ADD_FAILURE() << "no end after " << options.max_rounds << " rounds";
      break;
    }
    found.asked.push_back(next->ask);
    Answers answers;
    const Wal* sides[] = {&rejoiner, &survivor};
    for (int i = 0; i < 2; ++i) {
      switch (next->ask) {
        case Ask::kBatches:
          answers.batches[i] = sides[i]->List(next->range, options.max_batches);
          for (const auto& batch : answers.batches[i]) found.bytes += Dump(ToJson(batch)).size() + 1;
          break;
        case Ask::kDigests:
          // One side has other limits than the other.
          answers.digests[i] =
              sides[i]->Digests(next->range, next->parts, options.max_digested / (i == 0 ? 1 : 2));
          found.bytes += Dump(ToJson(answers.digests[i])).size();
          break;
        case Ask::kMarked:
          answers.marked[i] = sides[i]->Marked(next->range, options.max_marked);
          found.bytes += Dump(ToJson(answers.marked[i])).size();
          break;
        case Ask::kBytes:
          answers.bytes[i] = sides[i]->Bytes(next->range, ForkSearch::kMaxBytes);
          found.bytes += Dump(ToJson(RangeBytes{answers.bytes[i]})).size();
          break;
      }
    }
    if (options.spoil) options.spoil(*next, &answers);
    switch (next->ask) {
      case Ask::kBatches:
        search.FeedBatches(answers.batches[0], answers.batches[1]);
        break;
      case Ask::kDigests:
        search.FeedDigests(answers.digests[0], answers.digests[1]);
        break;
      case Ask::kMarked:
        search.FeedMarked(answers.marked[0], answers.marked[1]);
        break;
      case Ask::kBytes:
        search.FeedBytes(answers.bytes[0], answers.bytes[1]);
        break;
    }
  }
  found.answer = search.Result();
  return found;
}

inline KnownHistory PromotedAt(std::uint64_t sequence) {
  KnownHistory known;
  known.promoted_at = Sequence(sequence);
  return known;
}

inline KnownHistory SharedFrom(std::uint64_t sequence) {
  KnownHistory known;
  known.shared_from = Sequence(sequence);
  return known;
}

inline KnownHistory SameStream() {
  KnownHistory known;
  known.same_stream = true;
  return known;
}

}  // namespace walstitch::core
