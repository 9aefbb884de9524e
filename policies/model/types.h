// Kvrocks' data types by the names that its TYPE command answers with, and the everyday names that
// people write for the odd ones: bloom for MBbloom--, json for ReJSON-RL, tdigest for TDIS-TYPE. And the name
// of its default namespace.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace walstitch {

// The default namespace, as keys have it. People write "default".
inline constexpr std::string_view kDefaultNamespace = "__namespace";

// Keys that begin with it are Walstitch's own: values are put together under them before they take their
// key's place, and they are gone a moment later.
inline constexpr std::string_view kReservedKeys = "__walstitch_";

// "string", "hash", ..., in the order of Kvrocks' own numbers.
std::span<const std::string_view> KvrocksTypeNames();

// The name that TYPE answers with, of either form; nullopt for a name that this version does not know.
std::optional<std::string_view> CanonicalTypeName(std::string_view name);

}  // namespace walstitch
