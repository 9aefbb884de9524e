#include "agents/wal/write_stats.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace walstitch::wal {

WriteStats::WriteStats(WriteStatsOptions options) : options_(std::move(options)) {
  WALSTITCH_CHECK(!options_.delimiter.empty() && options_.depth > 0 && options_.max_rows > 1);
}

std::string_view WriteStats::PrefixOf(std::string_view key) const {
  std::size_t end = 0;
  for (std::uint32_t i = 0; i < options_.depth; ++i) {
    const std::size_t found = key.find(options_.delimiter, end);
    if (found == std::string_view::npos) return key.substr(0, kMaxName);
    end = found + options_.delimiter.size();
  }
  return key.substr(0, std::min(end, kMaxName));
}

Result<void> WriteStats::Add(const BatchView& batch, SequenceRange range) {
  const std::uint64_t number = ++total_.batches;
  batch_bytes_ += batch.bytes.size();
  return ForEachRecord(batch.bytes, options_.slot_encoded, [&](const KvrocksRecord& record) {
    if (record.raw.sequence < range.from) return true;
    if (record.raw.sequence >= range.to) return false;
    const std::uint64_t bytes = record.raw.key.size() + record.raw.value.size();
    ++total_.records;
    total_.bytes += bytes;
    const std::size_t most = options_.max_rows;
    if (record.user_key) {
      const std::string_view name_space = record.user_key->name_space;
      namespaces_.Add({}, name_space, false, bytes, number, most);
      prefixes_.Add(name_space, PrefixOf(record.user_key->key), false, bytes, number, most);
      types_.Add({}, record.type.value_or("untold"), !record.type, bytes, number, most);
    } else {
      for (Tally* tally : {&namespaces_, &prefixes_, &types_}) {
        tally->Add({}, record.internal, true, bytes, number, most);
      }
    }
    const std::string_view family = ColumnFamilyName(record.raw.column_family);
    if (family == "unknown") {
      families_.Add({}, std::to_string(record.raw.column_family), false, bytes, number, most);
    } else {
      families_.Add({}, family, false, bytes, number, most);
    }
    return true;
  });
}

WriteReport WriteStats::Report(std::size_t top) const {
  WriteReport report;
  report.total = total_;
  report.batch_bytes = batch_bytes_;
  report.namespaces = namespaces_.Top(top);
  report.prefixes = prefixes_.Top(top);
  report.types = types_.Top(top);
  report.families = families_.Top(top);
  return report;
}

void WriteStats::Tally::Add(std::string_view name_space, std::string_view name, bool internal,
                            std::uint64_t bytes, std::uint64_t batch, std::size_t max_rows) {
  // A namespace has at most 255 bytes: its length in front makes the pair unambiguous.
  identity_.assign(1, internal ? '\1' : '\0');
  identity_.push_back(static_cast<char>(name_space.size()));
  identity_.append(name_space).append(name);
  auto found = rows_.find(identity_);
  if (found == rows_.end()) {
    if (rows_.size() >= max_rows) Fold();
    found = rows_.try_emplace(identity_).first;
    found->second.row.name_space = name_space;
    found->second.row.name = name;
    found->second.row.internal = internal;
  }
  Row& row = found->second;
  ++row.row.count.records;
  row.row.count.bytes += bytes;
  if (row.last_batch != batch) ++row.row.count.batches;
  row.last_batch = batch;
}

// Moves the lighter half to others_.
void WriteStats::Tally::Fold() {
  std::vector<std::uint64_t> weights;
  weights.reserve(rows_.size());
  for (const auto& [identity, row] : rows_) weights.push_back(row.row.count.bytes);
  const auto middle = weights.begin() + static_cast<std::ptrdiff_t>(weights.size() / 2);
  std::nth_element(weights.begin(), middle, weights.end());
  const std::uint64_t median = *middle;
  std::size_t to_fold = rows_.size() / 2;
  for (auto row = rows_.begin(); row != rows_.end() && to_fold > 0;) {
    // At most the median: where many weigh the same, half of them must go nevertheless.
    if (row->second.row.count.bytes > median) {
      ++row;
      continue;
    }
    others_.records += row->second.row.count.records;
    others_.bytes += row->second.row.count.bytes;
    ++folded_names_;
    --to_fold;
    row = rows_.erase(row);
  }
  folded_ = true;
}

WriteTable WriteStats::Tally::Top(std::size_t top) const {
  WriteTable table;
  table.others = others_;
  table.names = rows_.size() + folded_names_;
  table.folded = folded_;
  std::vector<const WriteRow*> sorted;
  sorted.reserve(rows_.size());
  for (const auto& [identity, row] : rows_) sorted.push_back(&row.row);
  std::sort(sorted.begin(), sorted.end(), [](const WriteRow* a, const WriteRow* b) {
    if (a->count.bytes != b->count.bytes) return a->count.bytes > b->count.bytes;
    return std::tie(a->name_space, a->name, a->internal) < std::tie(b->name_space, b->name, b->internal);
  });
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i < top) {
      table.rows.push_back(*sorted[i]);
    } else {
      table.others.records += sorted[i]->count.records;
      table.others.bytes += sorted[i]->count.bytes;
    }
  }
  return table;
}

}  // namespace walstitch::wal
