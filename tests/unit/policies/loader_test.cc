#include "policies/loader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "policies/model/bytes.h"

namespace walstitch {
namespace {

// Four lines; what is given becomes the inside of spec, from line 5 on.
std::string Spec(const std::string& inside) {
  return "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: shop}\nspec:\n" + inside;
}

std::string Keyspace(const std::string& fields) { return Spec("  keyspaces:\n    - {" + fields + "}\n"); }

Result<TolerancePolicy> Parse(const std::string& content) { return ParsePolicy({{"shop.yaml", content}}); }

std::string ErrorOf(const std::string& content) {
  auto policy = Parse(content);
  return policy ? "accepted" : policy.error().Message();
}

TEST(Loader, EverySettingIsRead) {
  auto policy = Parse(Spec(R"(
  groups: ["shop-*"]
  keyspaces:
    - name: page-cache
      match: {namespaces: ["*"], keys: ["page:*", "frag:*"]}
      onDivergence: ignore
      limits: {records: 10000, keys: 5000, bytes: 64Mi}
    - name: orders
      match: {namespaces: [orders], types: [string, bloom]}
      onDivergence: fullsync
  default: ignore
  internal: {pubsub: fullsync, propagate: ignore, search: ignore}
  prefer: [aligned, padded]
  limits: {pad: 1, tail: 2, missed: 3, advanceMaster: 4, undoScan: 4Gi, borrow: 1Gi}
  failover: {maxLag: 5, rescue: {timeout: 1500ms, bytes: 64Mi}}
  requireForkProof: false
  onLimit: hold
  onResumePointEndangered: fullsync
)"));
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->name, "shop");
  EXPECT_EQ(policy->groups, std::vector<std::string>{"shop-*"});
  ASSERT_EQ(policy->keyspaces.size(), 2U);
  const KeyspaceRule& cache = policy->keyspaces[0];
  EXPECT_EQ(cache.name, "page-cache");
  EXPECT_EQ(cache.match.namespaces, std::vector<std::string>{"*"});
  EXPECT_EQ(cache.match.keys, (std::vector<std::string>{"page:*", "frag:*"}));
  EXPECT_TRUE(cache.match.types.empty());
  EXPECT_EQ(cache.on_divergence, Tolerance::kIgnore);
  EXPECT_EQ(cache.limits, (KeyspaceLimits{10000, 5000, 64 << 20}));
  EXPECT_EQ(cache.source, "shop.yaml:8:7");
  EXPECT_EQ(policy->keyspaces[1].match.types, (std::vector<std::string>{"string", "MBbloom--"}));
  EXPECT_EQ(policy->keyspaces[1].on_divergence, Tolerance::kFullSync);
  EXPECT_EQ(policy->default_tolerance, Tolerance::kIgnore);
  EXPECT_EQ(policy->internal.pubsub, Tolerance::kFullSync);
  EXPECT_EQ(policy->internal.propagate, Tolerance::kIgnore);
  EXPECT_EQ(policy->internal.search, Tolerance::kIgnore);
  EXPECT_EQ(policy->prefer, (std::vector<Verdict>{Verdict::kAligned, Verdict::kPadded}));
  EXPECT_EQ(policy->limits.pad, 1U);
  EXPECT_EQ(policy->limits.tail, 2U);
  EXPECT_EQ(policy->limits.missed, 3U);
  EXPECT_EQ(policy->limits.advance_master, 4U);
  EXPECT_EQ(policy->limits.undo_scan_bytes, 4ULL << 30);
  EXPECT_EQ(policy->limits.borrow_bytes, 1ULL << 30);
  EXPECT_EQ(policy->failover, (FailoverRules{5, 1500, 64ULL << 20}));
  EXPECT_FALSE(policy->require_fork_proof);
  EXPECT_EQ(policy->on_limit, OnLimit::kHold);
  EXPECT_EQ(policy->on_endangered, OnEndangered::kFullSync);
}

TEST(Loader, WhatIsLeftOutIsAsStrictAsWithoutAPolicy) {
  auto policy = Parse(Spec("  {}\n"));
  ASSERT_TRUE(policy) << policy.error().Message();
  TolerancePolicy none = DefaultPolicy();
  EXPECT_EQ(policy->default_tolerance, Tolerance::kFullSync);
  EXPECT_EQ(policy->default_tolerance, none.default_tolerance);
  EXPECT_EQ(policy->prefer, none.prefer);
  EXPECT_EQ(policy->limits.pad, none.limits.pad);
  EXPECT_EQ(policy->failover, none.failover);
  EXPECT_EQ(none.failover, (FailoverRules{std::nullopt, 30000, 1ULL << 30}));
  EXPECT_TRUE(policy->require_fork_proof);
  EXPECT_TRUE(none.require_fork_proof);
  EXPECT_TRUE(none.keyspaces.empty());
  EXPECT_EQ(none.name, "default");
}

TEST(Loader, TheHashIsThatOfTheFilesOneAfterTheOther) {
  std::string content = Spec("  {}\n");
  EXPECT_EQ(Parse(content)->content_hash, Sha256Hex(content));
  auto both = ParsePolicy({{"b", content + "# b\n"}, {"a", content}});
  EXPECT_EQ(both->content_hash, Sha256Hex(content + content + "# b\n"));
}

TEST(Loader, EverySizeMeansWhatItSays) {
  auto bytes = [](const std::string& text) {
    auto policy =
        Parse(Keyspace("name: a, match: {keys: [x]}, onDivergence: ignore, limits: {bytes: " + text + "}"));
    return policy ? *policy->keyspaces[0].limits.bytes : 0;
  };
  EXPECT_EQ(bytes("10000"), 10000U);
  EXPECT_EQ(bytes("2k"), 2000U);
  EXPECT_EQ(bytes("2M"), 2000000U);
  EXPECT_EQ(bytes("2G"), 2000000000U);
  EXPECT_EQ(bytes("2T"), 2000000000000U);
  EXPECT_EQ(bytes("2Ki"), 2048U);
  EXPECT_EQ(bytes("64Mi"), 64U << 20);
  EXPECT_EQ(bytes("4Gi"), 4ULL << 30);
  EXPECT_EQ(bytes("1Ti"), 1ULL << 40);
  EXPECT_EQ(bytes("18446744073709551615"), UINT64_MAX);
}

struct Malformed {
  std::string content;
  std::string error;
};

TEST(Loader, EveryMistakeHasItsPlaceAndWhatWasExpected) {
  const std::string rule = "name: a, match: {keys: [x]}, onDivergence: ignore";
  const std::string count = "; expected a whole number such as 10000";
  const std::string size =
      "; expected a number of bytes such as 1000000, 64Mi or 4Gi (units k, M, G, T, Ki, Mi, Gi, Ti)";
  const std::string time = "; expected a time such as 30s (units ms, s, m, h), more than 0 and at most 1h";
  const Malformed cases[] = {
      // the frame
      {"", "1:1: the file is empty; expected settings (key: value)"},
      {"just text\n", "1:1: the file is a single value; expected a mapping"},
      {"- a\n", "1:1: the file is a list; expected a mapping"},
      {"kind: TolerancePolicy\n",
       "1:1: the file has no \"apiVersion\"; expected apiVersion, kind, metadata, spec"},
      {"apiVersion: walstitch/v2\nkind: TolerancePolicy\nmetadata: {name: a}\nspec: {}\n",
       "1:13: apiVersion is \"walstitch/v2\"; expected walstitch/v1"},
      {"apiVersion: walstitch/v1\nkind: ConfigMap\nmetadata: {name: a}\nspec: {}\n",
       "2:7: kind is \"ConfigMap\"; expected TolerancePolicy"},
      {"apiVersion: [x]\nkind: TolerancePolicy\nmetadata: {name: a}\nspec: {}\n",
       "1:13: apiVersion is a list; expected a single value"},
      {"apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {}\nspec: {}\n",
       "3:11: metadata has no \"name\"; expected name"},
      {"apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: a b}\nspec: {}\n",
       "3:18: metadata.name is \"a b\"; expected at most 63 of the characters a-z A-Z 0-9 . _ -"},
      {"apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: a, labels: {}}\nspec: {}\n",
       "3:21: \"labels\" is not known in metadata; expected one of name"},
      {"apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: a}\nspec: {}\nstatus: {}\n",
       "5:1: \"status\" is not known in the file; expected one of apiVersion, kind, metadata, spec"},
      {"apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: a}\nspec:\n",
       "4:1: spec is nothing; expected a mapping"},
      // spec
      {Spec("  defaults: ignore\n"),
       "5:3: \"defaults\" is not known in spec; expected one of groups, keyspaces, default, internal, "
       "prefer, limits, "
       "failover, requireForkProof, onLimit, salvage, padding, onResumePointEndangered"},
      {Spec("  default: ignor\n"),
       "5:12: spec.default is \"ignor\"; expected one of ignore, evict, repair, fullsync"},
      {Spec("  default: Ignore\n"),
       "5:12: spec.default is \"Ignore\"; expected one of ignore, evict, repair, fullsync"},
      {Spec("  default:\n"), "5:3: spec.default is nothing; expected a single value"},
      {Spec("  default: [ignore]\n"), "5:12: spec.default is a list; expected a single value"},
      {Spec("  default: ignore\n  default: fullsync\n"),
       "6:3: \"default\" is given twice; expected each key once in a mapping"},
      {Spec("  groups: shop\n"), "5:11: spec.groups is a single value; expected a list"},
      {Spec("  groups: []\n"),
       "5:11: spec.groups is an empty list; expected at least one element, or leave spec.groups out"},
      {Spec("  groups: [a, [b]]\n"), "5:15: an element of spec.groups is a list; expected a single value"},
      {Spec("  groups: [a, '']\n"), "5:15: an element of spec.groups is empty; expected some text"},
      {Spec("  groups: [a, b, a]\n"), "5:18: \"a\" is in spec.groups twice; expected it once"},
      {Spec("  prefer: [aligned, padde]\n"),
       "5:21: an element of spec.prefer is \"padde\"; expected one of aligned, spliced, padded, full"},
      {Spec("  prefer: [aligned, hold]\n"),
       "5:21: an element of spec.prefer is \"hold\"; expected one of aligned, spliced, padded, full"},
      {Spec("  prefer: [full, full]\n"), "5:18: \"full\" is in spec.prefer twice; expected it once"},
      {Spec("  internal: {pubsub: ignore, scripts: ignore}\n"),
       "5:30: \"scripts\" is not known in spec.internal; expected one of pubsub, propagate, search"},
      {Spec("  internal: {search: maybe}\n"),
       "5:22: spec.internal.search is \"maybe\"; expected one of ignore, fullsync"},
      {Spec("  limits: {pads: 1}\n"),
       "5:12: \"pads\" is not known in spec.limits; expected one of pad, tail, missed, advanceMaster, "
       "undoScan, borrow"},
      {Spec("  limits: {pad: many}\n"), "5:17: spec.limits.pad is \"many\"" + count},
      {Spec("  limits: {pad: -1}\n"), "5:17: spec.limits.pad is \"-1\"" + count},
      {Spec("  limits: {pad: 1.5}\n"), "5:17: spec.limits.pad is \"1.5\"" + count},
      {Spec("  limits: {pad: 010}\n"), "5:17: spec.limits.pad is \"010\"" + count},
      {Spec("  limits: {pad: 0x10}\n"), "5:17: spec.limits.pad is \"0x10\"" + count},
      {Spec("  limits: {pad: 1k}\n"), "5:17: spec.limits.pad is \"1k\"" + count},
      {Spec("  limits: {pad: 18446744073709551616}\n"),
       "5:17: spec.limits.pad is \"18446744073709551616\", which is too large" + count},
      {Spec("  limits: {borrow: all}\n"), "5:20: spec.limits.borrow is \"all\"" + size},
      {Spec("  limits: {undoScan: 4gi}\n"), "5:22: spec.limits.undoScan is \"4gi\"" + size},
      {Spec("  limits: {undoScan: 4 Gi}\n"), "5:22: spec.limits.undoScan is \"4 Gi\"" + size},
      {Spec("  limits: {undoScan: 18014398509481984Ki}\n"),
       "5:22: spec.limits.undoScan is \"18014398509481984Ki\", which is too large" + size},
      {Spec("  failover: 5\n"), "5:13: spec.failover is a single value; expected a mapping"},
      {Spec("  failover: {maxlag: 5}\n"),
       "5:14: \"maxlag\" is not known in spec.failover; expected one of maxLag, rescue"},
      {Spec("  failover: {maxLag: none}\n"), "5:22: spec.failover.maxLag is \"none\"" + count},
      {Spec("  failover: {maxLag: 1Ki}\n"), "5:22: spec.failover.maxLag is \"1Ki\"" + count},
      {Spec("  failover: {rescue: 30s}\n"),
       "5:22: spec.failover.rescue is a single value; expected a mapping"},
      {Spec("  failover: {rescue: {time: 30s}}\n"),
       "5:23: \"time\" is not known in spec.failover.rescue; expected one of timeout, bytes"},
      {Spec("  failover: {rescue: {timeout: 30}}\n"), "5:32: spec.failover.rescue.timeout is \"30\"" + time},
      {Spec("  failover: {rescue: {timeout: 0s}}\n"), "5:32: spec.failover.rescue.timeout is \"0s\"" + time},
      {Spec("  failover: {rescue: {timeout: 2h}}\n"), "5:32: spec.failover.rescue.timeout is \"2h\"" + time},
      {Spec("  failover: {rescue: {timeout: [1s]}}\n"),
       "5:32: spec.failover.rescue.timeout is a list; expected a single value"},
      {Spec("  failover: {rescue: {bytes: 1gb}}\n"), "5:30: spec.failover.rescue.bytes is \"1gb\"" + size},
      {Spec("  requireForkProof: yes\n"), "5:21: spec.requireForkProof is \"yes\"; expected true or false"},
      {Spec("  onResumePointEndangered: warn\n"),
       "5:28: spec.onResumePointEndangered is \"warn\"; expected one of tell, fullsync"},
      {Spec("  onLimit: full\n"), "5:12: spec.onLimit is \"full\"; expected one of fullsync, hold"},
      // keyspaces
      {Spec("  keyspaces: {a: b}\n"), "5:14: spec.keyspaces is a mapping; expected a list"},
      {Spec("  keyspaces: [orders]\n"), "5:15: a keyspace is a single value; expected a mapping"},
      {Keyspace("match: {keys: [x]}, onDivergence: ignore"),
       "6:7: a keyspace has no \"name\"; expected name, match, onDivergence"},
      {Keyspace("name: a, onDivergence: ignore"),
       "6:7: a keyspace has no \"match\"; expected name, match, onDivergence"},
      {Keyspace("name: a, match: {keys: [x]}"),
       "6:7: a keyspace has no \"onDivergence\"; expected name, match, onDivergence"},
      {Keyspace(rule + ", ondivergence: ignore"),
       "6:59: \"ondivergence\" is not known in a keyspace; expected one of name, match, onDivergence, "
       "limits"},
      {Keyspace("name: a/b, match: {keys: [x]}, onDivergence: ignore"),
       "6:14: name is \"a/b\"; expected at most 63 of the characters a-z A-Z 0-9 . _ -"},
      {Keyspace("name: default, match: {keys: [x]}, onDivergence: ignore"),
       "6:14: a keyspace is named \"default\", which stands for spec.default; expected another name"},
      {Spec("  keyspaces:\n    - {" + rule + "}\n    - {" + rule + "}\n"),
       "7:14: the keyspace \"a\" stands at shop.yaml:6:14 already; expected a name of its own"},
      {Keyspace("name: a, match: {}, onDivergence: ignore"),
       "6:24: match is empty; expected namespaces, keys or types (for all other keys there is spec.default)"},
      {Keyspace("name: a, match: {key: [x]}, onDivergence: ignore"),
       "6:25: \"key\" is not known in match; expected one of namespaces, keys, types"},
      {Keyspace("name: a, match: {keys: x}, onDivergence: ignore"),
       "6:31: keys is a single value; expected a list"},
      {Keyspace("name: a, match: {keys: []}, onDivergence: ignore"),
       "6:31: keys is an empty list; expected at least one element, or leave keys out"},
      {Keyspace("name: a, match: {types: [string, hsah]}, onDivergence: ignore"),
       "6:41: \"hsah\" is no Kvrocks type; expected one of string, hash, list, set, zset, bitmap, sortedint, "
       "stream, "
       "MBbloom--, ReJSON-RL, hyperloglog, TDIS-TYPE"},
      {Keyspace("name: a, match: {keys: ['a[b']}, onDivergence: ignore"),
       "6:32: the pattern \"a[b\" of keys has a [ without its ]; expected both, or \\["},
      {Keyspace("name: a, match: {keys: ['a\\xf']}, onDivergence: ignore"),
       "6:32: the pattern \"a\\\\xf\" of keys has a \\x without two hexadecimal digits; expected \\xHH"},
      {Keyspace("name: a, match: {keys: ['a\\']}, onDivergence: ignore"),
       "6:32: the pattern \"a\\\\\" of keys ends with a backslash; expected a character behind it"},
      {Keyspace("name: a, match: {keys: [" + std::string(513, 'x') + "]}, onDivergence: ignore"),
       "6:32: the pattern \"" + std::string(64, 'x') + "...\" of keys has 513 bytes; expected at most 512"},
      {Keyspace(rule + ", limits: {record: 1}"),
       "6:68: \"record\" is not known in limits; expected one of records, keys, bytes"},
      {Keyspace(rule + ", limits: {keys: 1Ki}"), "6:74: limits.keys is \"1Ki\"" + count},
      {Keyspace(rule + ", limits: {bytes: lots}"), "6:75: limits.bytes is \"lots\"" + size},
      {Keyspace(rule + ", limits:"), "6:59: limits is nothing; expected a mapping"},
      // what is of no key
      {Spec("  internal: {propagate: repair}\n"),
       "5:25: spec.internal.propagate is \"repair\"; expected one of ignore, fullsync"},
  };
  for (const Malformed& one : cases) EXPECT_EQ(ErrorOf(one.content), "shop.yaml:" + one.error) << one.content;
}

TEST(Loader, KeysMayBeRepairedOrEvicted) {
  auto policy = Parse(Keyspace("name: a, match: {keys: [x]}, onDivergence: evict"));
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->keyspaces[0].on_divergence, Tolerance::kEvict);
  policy = Parse(Spec("  default: repair\n"));
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->default_tolerance, Tolerance::kRepair);
}

TEST(Loader, TheFirstOfSeveralMistakesIsTheFirstInTheFile) {
  EXPECT_EQ(ErrorOf(Spec("  onLimit: x\n  default: y\n")).substr(0, 15), "shop.yaml:5:12:");
}

TEST(Loader, AHexEscapeIsTheByteAndNeverSpecial) {
  auto pattern = [](const std::string& text) {
    auto policy = Parse(Keyspace("name: a, match: {keys: ['" + text + "']}, onDivergence: ignore"));
    EXPECT_TRUE(policy) << policy.error().Message();
    return policy ? policy->keyspaces[0].match.keys[0] : "";
  };
  EXPECT_EQ(pattern("a\\xff\\x00*"), std::string("a\xff\0*", 4));
  EXPECT_TRUE(GlobMatches(pattern("\\x2a"), "*"));
  EXPECT_FALSE(GlobMatches(pattern("\\x2a"), "a"));
  EXPECT_TRUE(GlobMatches(pattern("[\\x80-\\xff]"), "\x90"));
  EXPECT_TRUE(GlobMatches(pattern("\\x5b"), "["));
  EXPECT_TRUE(GlobMatches(pattern("\\x5c"), "\\"));
  EXPECT_TRUE(GlobMatches(pattern("\\\\x41"), "\\x41"));
  EXPECT_TRUE(GlobMatches(pattern("\\[a"), "[a"));
}

TEST(Loader, FilesAreMergedInNameOrder) {
  auto rule = [](const std::string& name) {
    return Spec("  keyspaces:\n    - {name: " + name + ", match: {keys: [x]}, onDivergence: ignore}\n");
  };
  auto policy = ParsePolicy({{"b.yaml", rule("second")}, {"a.yaml", rule("first")}});
  ASSERT_TRUE(policy) << policy.error().Message();
  ASSERT_EQ(policy->keyspaces.size(), 2U);
  EXPECT_EQ(policy->keyspaces[0].name, "first");
  EXPECT_EQ(policy->keyspaces[0].source, "a.yaml:6:7");
  EXPECT_EQ(policy->keyspaces[1].name, "second");
  EXPECT_EQ(policy->keyspaces[1].source, "b.yaml:6:7");
}

TEST(Loader, TwoFilesThatDisagreeAreRefusedWithBothPlaces) {
  auto error = [](const std::string& a, const std::string& b) {
    auto policy = ParsePolicy({{"b.yaml", Spec(b)}, {"a.yaml", Spec(a)}});
    return policy ? "accepted" : policy.error().Message();
  };
  EXPECT_EQ(error("  default: ignore\n", "  onLimit: hold\n  default: fullsync\n"),
            "b.yaml:6:12: spec.default is fullsync here, but ignore at a.yaml:5:12; expected the same in all "
            "files of "
            "one policy");
  EXPECT_EQ(
      error("  limits: {pad: 1}\n", "  limits: {pad: 2}\n"),
      "b.yaml:5:17: spec.limits.pad is 2 here, but 1 at a.yaml:5:17; expected the same in all files of one "
      "policy");
  EXPECT_EQ(error("  limits: {undoScan: 1Ki}\n", "  limits: {undoScan: 1024}\n"), "accepted");
  EXPECT_EQ(error("  limits: {pad: 1}\n", "  limits: {tail: 2}\n"), "accepted");
  EXPECT_EQ(
      error("  failover: {maxLag: 0}\n", "  failover: {maxLag: 7}\n"),
      "b.yaml:5:22: spec.failover.maxLag is 7 here, but 0 at a.yaml:5:22; expected the same in all files "
      "of one policy");
  EXPECT_EQ(
      error("  failover: {rescue: {timeout: 1m}}\n", "  failover: {rescue: {timeout: 1500ms}}\n"),
      "b.yaml:5:32: spec.failover.rescue.timeout is 1500ms here, but 1m at a.yaml:5:32; expected the same "
      "in all files of one policy");
  EXPECT_EQ(
      error("  failover: {rescue: {bytes: 1Ki}}\n", "  failover: {rescue: {bytes: 1}}\n"),
      "b.yaml:5:30: spec.failover.rescue.bytes is 1 here, but 1024 at a.yaml:5:30; expected the same in "
      "all files of one policy");
  EXPECT_EQ(error("  failover: {rescue: {timeout: 1m}}\n", "  failover: {rescue: {timeout: 60s}}\n"),
            "accepted");
  EXPECT_EQ(
      error("  prefer: [full]\n", "  prefer: [aligned, full]\n"),
      "b.yaml:5:11: spec.prefer is [aligned, full] here, but [full] at a.yaml:5:11; expected the same in all "
      "files of one policy");
  EXPECT_EQ(error("  groups: [x]\n", "  groups: [y]\n"), "accepted");
  EXPECT_EQ(error("  requireForkProof: true\n", "  requireForkProof: true\n"), "accepted");
  const std::string keyspace = "  keyspaces:\n    - {name: a, match: {keys: [x]}, onDivergence: ignore}\n";
  EXPECT_EQ(error(keyspace, keyspace),
            "b.yaml:6:14: the keyspace \"a\" stands at a.yaml:6:14 already; expected a name of its own");
}

TEST(Loader, EachRuleOfAFailoverMayStandInAFileOfItsOwn) {
  auto policy = ParsePolicy({{"a.yaml", Spec("  failover: {maxLag: 9}\n")},
                             {"b.yaml", Spec("  failover: {rescue: {timeout: 5s}}\n")},
                             {"c.yaml", Spec("  failover: {rescue: {bytes: 0}}\n")}});
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->failover, (FailoverRules{9, 5000, 0}));
}

TEST(Loader, MergedFilesKeepTheirNamesAndGroups) {
  const std::string other =
      "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: base}\nspec: {groups: [b, x]}\n";
  auto policy = ParsePolicy({{"b.yaml", Spec("  groups: [x]\n")}, {"a.yaml", other}});
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->name, "base+shop");
  EXPECT_EQ(policy->groups, (std::vector<std::string>{"b", "x"}));
}

TEST(Loader, OneBadFileRefusesAll) {
  auto policy = ParsePolicy({{"a.yaml", Spec("  default: ignore\n")}, {"b.yaml", "nonsense"}});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().Code(), ErrorCode::kInvalid);
}

TEST(Loader, ManyKeyspacesAreBounded) {
  std::ostringstream inside;
  inside << "  keyspaces:\n";
  for (int i = 0; i < 1001; ++i)
    inside << "    - {name: k" << i << ", match: {keys: [x]}, onDivergence: ignore}\n";
  EXPECT_EQ(ErrorOf(Spec(inside.str())), "shop.yaml:1006:7: more than 1000 keyspaces; expected fewer");
}

RC_GTEST_PROP(Loader, ACutOffFileIsAPolicyOrAnErrorWithAPlace, ()) {
  const std::string whole =
      Spec("  keyspaces:\n    - name: 'a'\n      match: {keys: [\"x*\"]}\n      onDivergence: ignore\n");
  auto cut = *rc::gen::inRange<std::size_t>(0, whole.size());
  auto policy = Parse(whole.substr(0, cut));
  if (!policy) RC_ASSERT(policy.error().Message().starts_with("shop.yaml:"));
}

RC_GTEST_PROP(Loader, OneChangedByteIsAPolicyOrAnErrorWithAPlace, (char byte)) {
  std::string text =
      Spec("  keyspaces:\n    - name: a\n      match: {keys: [\"x*\"]}\n      onDivergence: ignore\n");
  text[*rc::gen::inRange<std::size_t>(0, text.size())] = byte;
  auto policy = Parse(text);
  if (!policy) RC_ASSERT(policy.error().Message().starts_with("shop.yaml:"));
}

// --- files -----------------------------------------------------------------------------------------

class LoaderPaths : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "walstitch-policies-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& content) {
    auto path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  std::filesystem::path directory_;
};

TEST_F(LoaderPaths, NoPathIsTheDefaultPolicy) {
  auto policy = LoadPolicyPaths({});
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->name, "default");
  EXPECT_EQ(policy->default_tolerance, Tolerance::kFullSync);
}

TEST(Loader, ATailThatCannotBeSalvagedIsKeptUnlessThePolicySaysOtherwise) {
  EXPECT_EQ(DefaultPolicy().salvage, SalvageRule::kRequired);
  const auto loose = ParsePolicy({{"p.yaml", Spec("  salvage: try\n")}});
  ASSERT_TRUE(loose) << loose.error().Message();
  EXPECT_EQ(loose->salvage, SalvageRule::kTry);
  const auto wrong = ParsePolicy({{"p.yaml", Spec("  salvage: never\n")}});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().Message().find("expected one of required, try"), std::string::npos)
      << wrong.error().Message();
}

TEST_F(LoaderPaths, ADirectoryIsItsYamlFiles) {
  Write("20.yml", Spec("  onLimit: hold\n"));
  Write("10.yaml", Spec("  default: ignore\n"));
  Write("notes.txt", "not a policy");
  Write(".hidden.yaml", "not a policy");
  auto policy = LoadPolicyPaths({directory_.string()});
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->default_tolerance, Tolerance::kIgnore);
  EXPECT_EQ(policy->on_limit, OnLimit::kHold);
}

TEST_F(LoaderPaths, AMountedConfigMapIsReadOnce) {
  Write("..2026/shop.yaml", Keyspace("name: a, match: {keys: [x]}, onDivergence: ignore"));
  std::filesystem::create_directory_symlink("..2026", directory_ / "..data");
  std::filesystem::create_symlink("..data/shop.yaml", directory_ / "shop.yaml");
  auto policy = LoadPolicyPaths({directory_.string()});
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->keyspaces.size(), 1U);
}

TEST_F(LoaderPaths, TheSameFileTwiceIsReadOnce) {
  auto path = Write("a.yaml", Keyspace("name: a, match: {keys: [x]}, onDivergence: ignore"));
  EXPECT_TRUE(LoadPolicyPaths({path, path, directory_.string()}));
}

TEST_F(LoaderPaths, WhatCanNotBeReadIsNamed) {
  auto missing = (directory_ / "none.yaml").string();
  auto policy = LoadPolicyPaths({missing});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(policy.error().Message(),
            missing + ": no such file or directory; expected a policy file, or a directory of them");

  policy = LoadPolicyPaths({directory_.string()});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().Message(),
            directory_.string() + ": holds no policy; expected files named *.yaml or *.yml in it");

  policy = LoadPolicyPaths({"/dev/zero"});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().Message(),
            "/dev/zero: neither a file nor a directory; expected a policy file, or a directory of them");
}

TEST_F(LoaderPaths, AHugeFileIsRefusedUnread) {
  auto path = Write("big.yaml", "");
  std::filesystem::resize_file(path, 1ULL << 32);
  auto policy = LoadPolicyPaths({path});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().Message(), path + ":1:1: the file has more than 1 MiB; expected a smaller one");
}

TEST_F(LoaderPaths, EveryProfileIsValidAndNamedAsItsFile) {
  for (const std::string name : {"strict", "cache", "mixed"}) {
    auto policy = LoadPolicyPaths({WALSTITCH_POLICIES_DIR "/profiles/" + name + ".yaml"});
    ASSERT_TRUE(policy) << policy.error().Message();
    EXPECT_EQ(policy->name, name);
  }
}

TEST_F(LoaderPaths, TheStrictProfileIsTheDefaultPolicy) {
  auto strict = LoadPolicyPaths({WALSTITCH_POLICIES_DIR "/profiles/strict.yaml"});
  ASSERT_TRUE(strict);
  TolerancePolicy none = DefaultPolicy();
  EXPECT_TRUE(strict->keyspaces.empty());
  EXPECT_EQ(strict->default_tolerance, none.default_tolerance);
  EXPECT_EQ(strict->internal.pubsub, none.internal.pubsub);
  EXPECT_EQ(strict->internal.propagate, none.internal.propagate);
  EXPECT_EQ(strict->internal.search, none.internal.search);
  EXPECT_EQ(strict->failover, none.failover);
  EXPECT_EQ(strict->require_fork_proof, none.require_fork_proof);
  EXPECT_EQ(strict->on_limit, none.on_limit);
  EXPECT_EQ(strict->limits.borrow_bytes, none.limits.borrow_bytes);
  EXPECT_EQ(strict->on_endangered, none.on_endangered);
}

TEST_F(LoaderPaths, TheExampleOfTheReadmeIsValid) {
  std::ifstream in(WALSTITCH_POLICIES_DIR "/README.md");
  std::stringstream all;
  all << in.rdbuf();
  std::string text = all.str();
  auto from = text.find("```yaml\n") + 8;
  auto policy = Parse(text.substr(from, text.find("```", from) - from));
  ASSERT_TRUE(policy) << policy.error().Message();
  EXPECT_EQ(policy->keyspaces.size(), 2U);
}

}  // namespace
}  // namespace walstitch
