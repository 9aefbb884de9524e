#include "tests/support/keyspace.h"

#include <algorithm>
#include <vector>

namespace walstitch::test {
namespace {

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

// Pairs of a flat array, each as `"a"=>"b"`.
std::vector<std::string> Pairs(const Reply& reply) {
  std::vector<std::string> pairs;
  for (size_t i = 0; i + 1 < reply.items.size(); i += 2) {
    pairs.push_back(Quote(reply.items[i].text) + "=>" + Quote(reply.items[i + 1].text));
  }
  return pairs;
}

std::vector<std::string> Quoted(const Reply& reply) {
  std::vector<std::string> items;
  for (const Reply& item : reply.items) items.push_back(Quote(item.text));
  return items;
}

std::string Sorted(std::vector<std::string> parts) {
  std::sort(parts.begin(), parts.end());
  return Join(parts);
}

// An array's items, whatever they are; of anything else, its one line.
std::string Whole(const Reply& reply) { return ToString(reply); }

// The size that the metadata tells may be another than the number of elements.
std::string Sized(RedisClient& client, const char* count, const std::string& key,
                  const std::string& elements) {
  return elements + " (" + Whole(client(count, key)) + ")";
}

// Members by score, and each member's own record of its score.
std::string SortedSet(RedisClient& client, const std::string& key) {
  const Reply by_score = client("ZRANGE", key, "0", "-1", "WITHSCORES");
  std::vector<std::string> by_member;
  const Reply scanned = client("ZSCAN", key, "0", "COUNT", "1000000");
  if (scanned.items.size() == 2) {
    by_member = Pairs(scanned.items[1]);
  } else {
    for (size_t i = 0; i + 1 < by_score.items.size(); i += 2) {
      const std::string& member = by_score.items[i].text;
      by_member.push_back(Quote(member) + "=>" + Whole(client("ZSCORE", key, member)));
    }
  }
  return Join(Pairs(by_score)) + " by member " + Sorted(std::move(by_member));
}

// Entries, ids, groups with their consumers and what is pending, without what tells of the time of asking.
std::string Stream(RedisClient& client, const std::string& key) {
  std::string value = Whole(client("XRANGE", key, "-", "+")) + " " + Whole(client("XINFO", "STREAM", key));
  const Reply groups = client("XINFO", "GROUPS", key);
  value += " groups " + Whole(groups);
  for (const Reply& group : groups.items) {
    const std::string name = group.Field("name").text;
    value += " pending " + Whole(client("XPENDING", key, name));
    for (const Reply& consumer : client("XINFO", "CONSUMERS", key, name).items) {
      value += " " + Quote(consumer.Field("name").text) + " has " + Whole(consumer.Field("pending"));
    }
  }
  return value;
}

std::string Bloom(RedisClient& client, const std::string& key) {
  std::vector<std::string> probes = {"BF.MEXISTS", key};
  for (int i = 0; i < kProbes; ++i) probes.push_back(Probe(i));
  return Whole(client("BF.INFO", key)) + " " + Whole(client.Command(probes));
}

std::string CanonicalValue(RedisClient& client, const std::string& key) {
  const std::string type = client("TYPE", key).text;
  std::string value;
  if (type == "string" || type == "bitmap") {
    const Reply reply = client("GET", key);
    value = reply.IsError() ? Whole(reply) : Quote(reply.text);
  } else if (type == "hash") {
    value = Sized(client, "HLEN", key, Sorted(Pairs(client("HGETALL", key))));
  } else if (type == "set") {
    value = Sized(client, "SCARD", key, Sorted(Quoted(client("SMEMBERS", key))));
  } else if (type == "list") {
    value = Sized(client, "LLEN", key, Join(Quoted(client("LRANGE", key, "0", "-1"))));
  } else if (type == "zset") {
    value = Sized(client, "ZCARD", key, SortedSet(client, key));
  } else if (type == "sortedint") {
    value = Sized(client, "SICARD", key, Whole(client("SIRANGE", key, "0", "1000000")));
  } else if (type == "stream") {
    value = Sized(client, "XLEN", key, Stream(client, key));
  } else if (type == "ReJSON-RL") {
    value = Whole(client("JSON.GET", key));
  } else if (type == "MBbloom--") {
    value = Bloom(client, key);
  } else if (type == "hyperloglog") {
    value = Whole(client("PFCOUNT", key));
  } else {
    value = Quote(Whole(client("DUMP", key)));
  }
  const int64_t expires_ms = client("PEXPIRETIME", key).integer;
  return type + (expires_ms > 0 ? " expires at " + std::to_string(expires_ms) + " " : " ") + value;
}

void DumpNamespace(RedisClient& client, const std::string& ns, Keyspace* out) {
  std::string cursor = "0";
  do {
    const Reply page = client("SCAN", cursor, "COUNT", "500");
    if (page.items.size() != 2) return;
    cursor = page.items[0].text;
    for (const std::string& key : page.items[1].Texts()) (*out)[ns + ":" + key] = CanonicalValue(client, key);
  } while (cursor != "0");
}

}  // namespace

std::string Quote(const std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out.push_back(c);
    } else {
      out += "\\x";
      out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
      out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
    }
  }
  return out + "\"";
}

std::string Probe(int number) { return "element-" + std::to_string(number); }

Keyspace DumpKeyspace(RedisClient& client) {
  Keyspace out;
  const Reply namespaces = client("NAMESPACE", "GET", "*");
  for (size_t i = 0; i + 1 < namespaces.items.size(); i += 2) {
    const std::string& ns = namespaces.items[i].text;
    const std::string& token = namespaces.items[i + 1].text;
    RedisClient member(client.port(), client.host());
    if (!token.empty()) member("AUTH", token);
    DumpNamespace(member, ns, &out);
  }
  return out;
}

std::string DiffKeyspaces(const Keyspace& left, const Keyspace& right) {
  std::string out;
  for (const auto& [key, value] : left) {
    const auto it = right.find(key);
    if (it == right.end()) {
      out += Quote(key) + ": only left: " + value + "\n";
    } else if (it->second != value) {
      out += Quote(key) + ": " + value + " | " + it->second + "\n";
    }
  }
  for (const auto& [key, value] : right) {
    if (left.count(key) == 0) out += Quote(key) + ": only right: " + value + "\n";
  }
  return out;
}

std::set<std::string> KeysThatDiffer(const Keyspace& left, const Keyspace& right) {
  std::set<std::string> keys;
  for (const auto& [key, value] : left) {
    if (const auto found = right.find(key); found == right.end() || found->second != value) keys.insert(key);
  }
  for (const auto& [key, value] : right) {
    if (left.count(key) == 0) keys.insert(key);
  }
  return keys;
}

}  // namespace walstitch::test
