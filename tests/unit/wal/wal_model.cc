#include "tests/unit/wal/wal_model.h"

#include <algorithm>

#include "agents/wal/log_format.h"

namespace walstitch::wal {
namespace {

std::string Wrong(const std::string& question, const std::string& got, const std::string& expected) {
  return question + ": got " + got + ", expected " + expected;
}

std::string Text(std::uint64_t first, std::uint32_t count, std::uint64_t bytes) {
  return "(" + std::to_string(first) + ", " + std::to_string(count) + ", " + std::to_string(bytes) +
         " bytes)";
}

std::string Text(const Error& error) { return std::string(ToString(error.Code())) + ": " + error.Message(); }

// What is asked of a sequence that no batch holds has one answer for all questions: `value` if it is the next
// one, else not found.
template <typename T>
std::string CheckWithoutBatch(const Result<T>& got, const T& value, std::uint64_t sequence,
                              std::uint64_t next, const std::string& question) {
  if (sequence != next) {
    if (got) return Wrong(question, "an answer", "not found");
    if (got.error().Code() != ErrorCode::kNotFound) return Wrong(question, Text(got.error()), "not found");
    return "";
  }
  if (!got) return Wrong(question, Text(got.error()), "next");
  return *got == value ? "" : Wrong(question, "a batch or another boundary", "next");
}

}  // namespace

const ModelBatch* WalModel::Holding(std::uint64_t sequence) const {
  auto above = std::upper_bound(batches_.begin(), batches_.end(), sequence,
                                [](std::uint64_t s, const ModelBatch& batch) { return s < batch.first; });
  if (above == batches_.begin()) return nullptr;
  --above;
  return sequence < above->End() ? &*above : nullptr;
}

std::vector<std::uint64_t> WalModel::Questions(Random* random, std::size_t count) const {
  std::vector<std::uint64_t> questions = {
      0,          Oldest() - 1, Oldest(),     Oldest() + 1,     Next() - 1, Next(),
      Next() + 1, Next() * 2,   kMaxSequence, kMaxSequence + 1, Next() + 2, Oldest()};
  while (questions.size() < count) {
    const ModelBatch& batch = batches_[random->Below(batches_.size())];
    switch (random->Below(4)) {
      case 0:
        questions.push_back(random->Between(Oldest(), Next()));
        break;
      case 1:
        questions.push_back(random->Between(batch.first, batch.End()));
        break;
      case 2:
        questions.push_back(batch.End() - 1);
        break;
      default:
        questions.push_back(batch.first);
        break;
    }
  }
  // Both ends first would be a pattern: caches might live by it.
  for (std::size_t i = questions.size() - 1; i > 0; --i) {
    std::swap(questions[i], questions[random->Below(i + 1)]);
  }
  return questions;
}

std::string WalModel::CheckExtent(WalDirectory& wal) const {
  Result<WalExtent> extent = wal.Extent();
  if (!extent) return "extent: " + Text(extent.error());
  if (extent->oldest != Sequence(Oldest())) {
    return Wrong("oldest", extent->oldest ? extent->oldest->ToString() : "none", std::to_string(Oldest()));
  }
  if (extent->last != Sequence(Next() - 1)) {
    return Wrong("last", extent->last ? extent->last->ToString() : "none", std::to_string(Next() - 1));
  }
  return "";
}

std::string WalModel::CheckBatchHolding(WalDirectory& wal, std::uint64_t sequence) const {
  const std::string question = "batch holding " + std::to_string(sequence);
  Result<std::optional<BatchInfo>> got = wal.BatchHolding(Sequence(sequence));
  const ModelBatch* batch = Holding(sequence);
  if (batch == nullptr) return CheckWithoutBatch(got, {}, sequence, Next(), question);
  const BatchInfo expected = Describe({Sequence(batch->first), batch->count, *batch->bytes});
  const std::string text = Text(batch->first, batch->count, batch->bytes->size());
  if (!got) return Wrong(question, Text(got.error()), text);
  if (!*got) return Wrong(question, "next", text);
  if (**got != expected)
    return Wrong(question, Text((*got)->first.Value(), (*got)->count, (*got)->bytes), text);
  return "";
}

std::string WalModel::CheckBoundary(WalDirectory& wal, std::uint64_t sequence) const {
  const std::string question = "boundary at or after " + std::to_string(sequence);
  Result<Sequence> got = wal.BoundaryAtOrAfter(Sequence(sequence));
  const ModelBatch* batch = Holding(sequence);
  if (batch == nullptr) return CheckWithoutBatch(got, Sequence(Next()), sequence, Next(), question);
  // Where a batch ends a hole may begin: that is no place to ask about.
  const std::uint64_t expected = sequence == batch->first ? sequence : batch->End();
  if (!got) return Wrong(question, Text(got.error()), std::to_string(expected));
  return *got == Sequence(expected) ? "" : Wrong(question, got->ToString(), std::to_string(expected));
}

std::string WalModel::CheckLocate(WalDirectory& wal, std::uint64_t sequence) const {
  const std::string question = "place of " + std::to_string(sequence);
  Result<std::optional<BatchPlace>> got = wal.Locate(Sequence(sequence));
  const ModelBatch* batch = Holding(sequence);
  if (batch == nullptr) {
    const Result<bool> is_next = got.map([](const auto& place) { return !place.has_value(); });
    return CheckWithoutBatch(is_next, true, sequence, Next(), question);
  }
  if (!got) return Wrong(question, Text(got.error()), Text(batch->first, batch->count, batch->bytes->size()));
  if (!*got) return Wrong(question, "next", Text(batch->first, batch->count, batch->bytes->size()));
  return CompareHeader(**got, *batch);
}

std::string WalModel::CheckPlace(WalDirectory& wal, std::uint64_t sequence) const {
  const ModelBatch* batch = Holding(sequence);
  if (batch == nullptr) return CheckLocate(wal, sequence);
  Result<std::optional<BatchPlace>> got = wal.Locate(Sequence(sequence));
  if (!got) return "place of " + std::to_string(sequence) + ": " + Text(got.error());
  if (!*got) return "place of " + std::to_string(sequence) + ": next";
  return ComparePlace(**got, *batch);
}

std::string WalModel::CheckRange(WalDirectory& wal, std::uint64_t from, std::uint64_t to) const {
  const std::string question = "range [" + std::to_string(from) + ", " + std::to_string(to) + ")";
  auto batch = std::find_if(batches_.begin(), batches_.end(),
                            [&](const ModelBatch& candidate) { return candidate.End() > from; });
  std::uint64_t reached = from;
  std::string wrong;
  Result<void> read = wal.ForEachBatch({Sequence(from), Sequence(to)}, [&](const BatchView& view) {
    if (view.count == 0) return true;
    if (batch == batches_.end() || batch->first >= to) {
      wrong = Wrong(question, Text(view.first.Value(), view.count, view.bytes.size()), "the end");
      return false;
    }
    if (view.first != Sequence(batch->first) || view.count != batch->count || view.bytes != *batch->bytes) {
      wrong = Wrong(question, Text(view.first.Value(), view.count, view.bytes.size()),
                    Text(batch->first, batch->count, batch->bytes->size()));
      return false;
    }
    reached = batch->End();
    ++batch;
    return true;
  });
  if (!wrong.empty()) return wrong;
  if (from >= to) return read ? "" : question + ": " + Text(read.error());
  // All of the range that there is must have been visited, or the answer is that it is not there.
  const bool whole = from >= Oldest() && from <= Next() && reached >= std::min(to, Next());
  if (read) return whole ? "" : Wrong(question, "the end at " + std::to_string(reached), "not found");
  if (!whole && read.error().Code() == ErrorCode::kNotFound) return "";
  return question + ": " + Text(read.error());
}

std::string CompareHeader(const BatchPlace& place, const ModelBatch& batch) {
  if (place.header.first == Sequence(batch.first) && place.header.count == batch.count &&
      place.bytes == batch.bytes->size()) {
    return "";
  }
  return Wrong("place", Text(place.header.first.Value(), place.header.count, place.bytes),
               Text(batch.first, batch.count, batch.bytes->size()));
}

std::string ComparePlace(const BatchPlace& place, const ModelBatch& batch) {
  if (std::string wrong = CompareHeader(place, batch); !wrong.empty()) return wrong;
  if (place.log_number == batch.log_number && place.file == batch.file && place.offset == batch.offset) {
    return "";
  }
  return Wrong(
      "place of " + std::to_string(batch.first),
      place.file + " (" + std::to_string(place.log_number) + ") offset " + std::to_string(place.offset),
      batch.file + " (" + std::to_string(batch.log_number) + ") offset " + std::to_string(batch.offset));
}

}  // namespace walstitch::wal
