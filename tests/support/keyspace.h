// What a node holds, read through its commands: to be compared with what another one holds.
//
// Nothing may be written to the node meanwhile, and no key may expire.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/support/redis_client.h"

namespace walstitch::test {

// By `namespace:key`, with the raw bytes of both.
using Keyspace = std::map<std::string, std::string>;

// Every key of every namespace: its type, when it expires (unix time in milliseconds), how many elements it
// says it has, and all that the commands of its type tell of it, of a sorted set by both of its indexes. In a
// form that is equal exactly when these are: unordered collections are sorted. Of a Bloom filter and a
// HyperLogLog what they tell of themselves, and of the elements kProbes; of a type that is not known here,
// DUMP. What a server refuses is told as its error, so that two servers of one version compare. Needs an
// administrator's connection.
Keyspace DumpKeyspace(RedisClient& client);

// Elements that Bloom filters are asked for.
inline constexpr int kProbes = 12;
std::string Probe(int number);

// What differs between two dumps, one key a line; empty if nothing does.
std::string DiffKeyspaces(const Keyspace& left, const Keyspace& right);

// The keys on which they differ.
std::set<std::string> KeysThatDiffer(const Keyspace& left, const Keyspace& right);

// "text", with what cannot be printed as \xHH.
std::string Quote(const std::string& text);

}  // namespace walstitch::test
