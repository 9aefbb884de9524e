// Sequences: RocksDB's 64-bit record counter, as Kvrocks replicates by it.
//
// A strong type, so that a sequence is never mixed with a file offset, a count or a time. The
// difference of two sequences is a plain count of records. Value type, no ownership, thread-safe as
// any int is.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace walstitch {

class Sequence {
 public:
  constexpr Sequence() = default;
  constexpr explicit Sequence(std::uint64_t value) : value_(value) {}

  [[nodiscard]] constexpr std::uint64_t Value() const { return value_; }
  [[nodiscard]] std::string ToString() const { return std::to_string(value_); }

  constexpr auto operator<=>(const Sequence&) const = default;

  // Advancing by a count of records, and the count between two sequences (`to` must be >= `from`).
  constexpr Sequence operator+(std::uint64_t records) const { return Sequence(value_ + records); }
  constexpr Sequence operator-(std::uint64_t records) const { return Sequence(value_ - records); }
  constexpr std::uint64_t operator-(Sequence from) const { return value_ - from.value_; }

 private:
  std::uint64_t value_ = 0;
};

// Half-open, written [from, to).
struct SequenceRange {
  Sequence from;
  Sequence to;

  [[nodiscard]] constexpr bool Empty() const { return to <= from; }
  [[nodiscard]] constexpr std::uint64_t Size() const { return Empty() ? 0 : to - from; }
  [[nodiscard]] std::string ToString() const { return "[" + from.ToString() + ", " + to.ToString() + ")"; }
  constexpr bool operator==(const SequenceRange&) const = default;
};

}  // namespace walstitch

template <>
struct std::hash<walstitch::Sequence> {
  std::size_t operator()(walstitch::Sequence sequence) const noexcept {
    return std::hash<std::uint64_t>{}(sequence.Value());
  }
};
